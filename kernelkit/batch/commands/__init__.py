"""The commands of `kernelkit`, a module for each group of them."""
