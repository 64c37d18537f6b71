//! Matrix products on the device, in f32 or with narrower factors: large ones by the library, others plain.
//!
//! Factors in f32 are never rounded: the library's tensor-core kernels would take them as TF32, so products of f32 are
//! its kernels without tensor cores. Factors in bf16 take whatever kernel is measured fastest, with sums in f32.

use super::array::{element, empty, entries};
use super::plain;
use burn::tensor::DType;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use burn_cubecl::tensor::CubeTensor;
use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems, MatmulSetupError};
use cubek::matmul::multi_level::Strategy as Kernel;
use cubek::matmul::strategy::Strategy;
use cubek::std::InputBinding;

/// Multiply-adds of a matrix up to which the plain product is used: it takes tens of microseconds for these, and some
/// drivers compile the staged kernels of the library for seconds.
const SMALL: usize = 1 << 23;

/// Rows or columns up to which a product is bound by reading the other factor.
const FEW: usize = 4;

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
    product_into(left, right, into.clone());
    into
}

/// [`product`] into memory that is there.
pub(crate) fn product_into(left: CubeTensor, right: CubeTensor, into: CubeTensor) {
    if entries(&into) > 0 {
        launch(left, right, into);
    }
}

fn launch(left: CubeTensor, right: CubeTensor, into: CubeTensor) {
    let dtype = into.dtype;
    let (one, other) = (left.meta.shape(), right.meta.shape());
    let rank = one.len();
    let [rows, inner, columns] = [one[rank - 2], one[rank - 1], other[rank - 1]];
    if rows.min(columns) <= FEW || rows * inner * columns <= SMALL {
        return plain::product(left, right, into);
    }
    let done = if left.dtype == DType::F32 {
        by(
            Kernel::DoubleUnit(Default::default()),
            left.clone(),
            right.clone(),
            into.clone(),
        )
        .or_else(|_| by(Kernel::SimpleUnit(Default::default()), left, right, into))
    } else {
        matmul(left, right, Some(into), MatmulStrategy::default(), dtype).map(drop)
    };
    if let Err(error) = done {
        unreachable!("the library has a kernel for every product of matrices: {error:?}");
    }
}

/// A product by a kernel of the library, which does not change the types of the factors.
fn by(kernel: Kernel, left: CubeTensor, right: CubeTensor, into: CubeTensor) -> Result<(), MatmulSetupError> {
    let client = into.client.clone();
    let mut elements = MatmulElems::from_globals(&MatmulGlobalElems {
        lhs: element(&left),
        rhs: element(&right),
        out: element(&into),
    });
    let (of_left, of_right) = (element(&left), element(&right));
    cubek::matmul::launch::launch_ref(
        &Strategy::MultiLevel(kernel),
        &client,
        InputBinding::new(left.binding(), of_left),
        InputBinding::new(right.binding(), of_right),
        into.binding(),
        &mut elements,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::DragonBackend;
    use crate::gpu::tests::{device, near};
    use crate::testing::{numbers, values};
    use burn::tensor::{Device, Tensor};
    use burn_cubecl::CubeBackend;

    /// Every kernel that is chosen by size, factors as they lie in memory and transposed, and broadcast.
    #[test]
    fn products_are_those_of_the_processor() {
        let Some(device) = device() else { return };
        let cases = [
            ([2, 3, 5], [2, 5, 4]),
            ([1, 1, 9], [2, 9, 7]),
            ([1, 230, 220], [2, 220, 210]),
        ];
        for (one, other) in cases {
            let tensors = |device: &Device| (numbers(one, 1, 2.0, device), numbers(other, 2, 2.0, device));
            let (left, right) = tensors(&Device::flex());
            let expected = values(left.matmul(right));
            let (left, right) = tensors(&device);
            let turned = right.clone().swap_dims(1, 2); // in memory as the product wants it transposed
            let turned = turned.clone() + turned.zeros_like();
            let take = |tensor: Tensor<3>| CubeBackend::take(tensor).unwrap().numbers;
            for right in [take(right), transposed(take(turned))] {
                let found = product(take(left.clone()), right, DType::F32);
                near(
                    "a product",
                    &values(CubeBackend::give::<3>(found)),
                    &expected,
                    3e-6,
                );
            }
        }
    }
}
