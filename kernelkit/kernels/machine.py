"""What compiled code does with memory, addresses and registers: machine instructions that numba has no word for."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

I8 = ir.IntType(64)
F8 = ir.DoubleType()


def _load(element, numba_type):
    @intrinsic
    def load(typingctx, address):
        def codegen(context, builder, signature, args):
            return builder.load(builder.inttoptr(args[0], element.as_pointer()))

        return numba_type(types.int64), codegen

    return load


def _store(element, numba_type):
    @intrinsic
    def store(typingctx, address, value):
        def codegen(context, builder, signature, args):
            builder.store(args[1], builder.inttoptr(args[0], element.as_pointer()))
            return context.get_dummy_value()

        return types.void(types.int64, numba_type), codegen

    return store


def _call(result, numba_type):
    @intrinsic
    def call(typingctx, entry, argument):
        def codegen(context, builder, signature, args):
            function = builder.inttoptr(args[0], ir.FunctionType(result, [I8]).as_pointer())
            return builder.call(function, [args[1]])

        return numba_type(types.int64, types.int64), codegen

    return call


def _bitcast(element, numba_result, numba_argument):
    @intrinsic
    def cast(typingctx, value):
        def codegen(context, builder, signature, args):
            return builder.bitcast(args[0], element)

        return numba_result(numba_argument), codegen

    return cast


i8, f8 = _load(I8, types.int64), _load(F8, types.float64)
put_i8, put_f8 = _store(I8, types.int64), _store(F8, types.float64)
call, call_model = _call(I8, types.int64), _call(F8, types.float64)
bits, unbits = _bitcast(I8, types.int64, types.float64), _bitcast(F8, types.float64, types.int64)


@intrinsic
def scale_four(typingctx, place, factor, divisor):
    """Multiply and divide four float64 that lie side by side: the processor does them at once."""

    def codegen(context, builder, signature, args):
        four = ir.VectorType(F8, 4)
        pointer = builder.inttoptr(args[0], four.as_pointer())
        value = builder.load(pointer, align=8)
        for operation, number in ((builder.fmul, args[1]), (builder.fdiv, args[2])):
            many = ir.Constant(four, ir.Undefined)
            for k in range(4):
                many = builder.insert_element(many, number, ir.Constant(ir.IntType(32), k))
            value = operation(value, many)
        builder.store(value, pointer, align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.float64, types.float64), codegen


@intrinsic
def rarely(typingctx, condition):
    """A condition that is false nearly always: registers are kept for that case."""

    def codegen(context, builder, signature, args):
        bit = ir.IntType(1)
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(bit, [bit, bit]), "llvm.expect.i1")
        return builder.call(function, [args[0], bit(0)])

    return types.boolean(types.boolean), codegen


@intrinsic
def prefetch(typingctx, address):
    """Have the cache line at an address fetched, wherever it points to."""

    def codegen(context, builder, signature, args):
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        read, keep_it, data = (word(k) for k in (0, 3, 1))
        builder.call(function, [builder.inttoptr(args[0], byte), read, keep_it, data])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def at(typingctx, address, dtype):
    """The record of this dtype at an address; its fields are the memory itself."""
    record = dtype.dtype

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(record))

    return record(types.int64, dtype), codegen


@intrinsic
def call_act(typingctx, entry, frame, verb, tif, q, a, b, c, d, e):
    """Call the engine's order entry point by its address."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(I8, [I8, I8, I8] + [F8] * 6)
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])

    return types.int64(*[types.int64] * 4, *[types.float64] * 6), codegen


@intrinsic
def call_steer(typingctx, entry, frame, verb, wish):
    """Call the engine's entry point for targets by its address."""

    def codegen(context, builder, signature, args):
        function = builder.inttoptr(args[0], ir.FunctionType(I8, [I8, I8, F8]).as_pointer())
        return builder.call(function, args[1:])

    return types.int64(*[types.int64] * 3, types.float64), codegen


@intrinsic
def call_weigh(typingctx, entry, frame, verb, wish, band):
    """Call the engine's entry point for targets of a portfolio's asset by its address."""

    def codegen(context, builder, signature, args):
        function = builder.inttoptr(args[0], ir.FunctionType(I8, [I8, I8, F8, F8]).as_pointer())
        return builder.call(function, args[1:])

    return types.int64(*[types.int64] * 3, *[types.float64] * 2), codegen


@intrinsic
def call_kernel(typingctx, entry, frame, slot, column, first, last, out, n):
    """Call an indicator's kernel by its address."""

    def codegen(context, builder, signature, args):
        function = builder.inttoptr(args[0], ir.FunctionType(ir.VoidType(), [I8] * 7).as_pointer())
        builder.call(function, args[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 8), codegen
