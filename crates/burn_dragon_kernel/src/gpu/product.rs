//! Matrix products on the device: those of the library, in f32 or with narrower factors.
//!
//! Factors in f32 are never rounded: the library's tensor-core kernels would take them as TF32, so products of f32 are
//! its kernels without tensor cores. Factors in bf16 take whatever kernel is measured fastest, with sums in f32.

use super::array::{empty, entries};
use burn::tensor::DType;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::{ElemType, FloatKind};
use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems, MatmulSetupError};
use cubek::matmul::multi_level::Strategy as Kernel;
use cubek::matmul::strategy::Strategy;
use cubek::std::InputBinding;

/// Multiply-adds of a product for which the staged kernels are not worth their start.
const SMALL: usize = 1 << 15;

/// The matrices of the last two axes, transposed.
pub(crate) fn transposed(mut tensor: CubeTensor) -> CubeTensor {
    let rank = tensor.meta.shape().len();
    tensor.meta.swap(rank - 2, rank - 1);
    tensor
}

/// `left right`, matrix by matrix, in a type of its own; axes of size 1 before the last two are broadcast.
pub(crate) fn product(left: CubeTensor, right: CubeTensor, dtype: DType) -> CubeTensor {
    let (one, other) = (left.meta.shape(), right.meta.shape());
    let rank = one.len();
    let mut shape: Vec<usize> = one
        .iter()
        .zip(other.iter())
        .map(|(one, other)| *one.max(other))
        .collect();
    (shape[rank - 2], shape[rank - 1]) = (one[rank - 2], other[rank - 1]);
    let into = empty(&left, shape, dtype);
    if entries(&into) > 0 {
        launch(left, right, into.clone());
    }
    into
}

fn launch(left: CubeTensor, right: CubeTensor, into: CubeTensor) {
    let dtype = into.dtype;
    let done = if left.dtype == DType::F32 {
        exact(left, right, into)
    } else {
        matmul(left, right, Some(into), MatmulStrategy::default(), dtype).map(drop)
    };
    if let Err(error) = done {
        unreachable!("the library has a kernel for every product of matrices: {error:?}");
    }
}

/// A product in f32 without tensor cores.
fn exact(left: CubeTensor, right: CubeTensor, into: CubeTensor) -> Result<(), MatmulSetupError> {
    let (one, other) = (left.meta.shape(), right.meta.shape());
    let rank = one.len();
    let [rows, inner, columns] = [one[rank - 2], one[rank - 1], other[rank - 1]];
    let staged = rows.min(columns) > 1 && rows * inner * columns > SMALL;
    let kernels = [
        staged.then(|| Kernel::DoubleUnit(Default::default())),
        staged.then(|| Kernel::SimpleUnit(Default::default())),
        Some(Kernel::Naive),
    ];
    let mut done = Ok(());
    for kernel in kernels.into_iter().flatten() {
        done = by(kernel, left.clone(), right.clone(), into.clone());
        if done.is_ok() {
            break;
        }
    }
    done
}

fn by(kernel: Kernel, left: CubeTensor, right: CubeTensor, into: CubeTensor) -> Result<(), MatmulSetupError> {
    let f32 = ElemType::Float(FloatKind::F32);
    let client = into.client.clone();
    let mut elements = MatmulElems::from_globals(&MatmulGlobalElems {
        lhs: f32,
        rhs: f32,
        out: f32,
    });
    cubek::matmul::launch::launch_ref(
        &Strategy::MultiLevel(kernel),
        &client,
        InputBinding::new(left.binding(), f32),
        InputBinding::new(right.binding(), f32),
        into.binding(),
        &mut elements,
    )
}
