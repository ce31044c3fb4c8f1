"""Does the inference keep what it promises? Worlds without skill, worlds with some, and how often each test speaks."""
