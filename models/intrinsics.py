"""
Single instructions of the processor that numba has no word for, and :mod:`models.kernels` needs.

What numba has compiled does not notice changes here: touch :mod:`models.kernels` then.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic


@intrinsic
def prefetch(_typing: Any, array: Any, row: Any, column: Any) -> Any:  # noqa: ANN401 - numba's types
    """Ask for a cache line of a two-dimensional array, which may lie behind its end."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        found = context.make_array(signature.args[0])(context, builder, arguments[0])
        width = cgutils.unpack_tuple(builder, found.shape, 2)[1]
        place = builder.gep(found.data, [builder.add(builder.mul(arguments[1], width), arguments[2])])
        whole = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, whole, whole, whole])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(ask, [place, whole(0), whole(3), whole(1)])  # for reading, to stay, as data
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), generate


@intrinsic
def float_of(_typing: Any, bits: Any) -> Any:  # noqa: ANN401
    """Return the float32 of these bits."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@intrinsic
def bits_of(_typing: Any, number: Any) -> Any:  # noqa: ANN401
    """Return the bits of a float32."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), generate
