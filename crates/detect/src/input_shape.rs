//! Changes the input size in a model's file before it is run, and nothing else.
//!
//! Most exports state a square although the network doesn't need one. If it does, loading or running fails because its shapes don't
//! match.

use crate::error::{Error, Result};
use crate::onnx::{Dimension, Model};
use prost::Message as _;
use prost::bytes::Bytes;

/// The same model with another input shape. The first of its four dimensions, the batch size, stays as it is.
///
/// # Errors
/// If it isn't a model with one input of four dimensions.
pub(crate) fn with_input_shape(model: &[u8], shape: [i64; 4]) -> Result<Vec<u8>> {
    let refused =
        |reason: String| Error::Run { reason: format!("its input's size cannot be changed: {reason}") };
    let mut model =
        Model::decode(Bytes::copy_from_slice(model)).map_err(|error| refused(error.to_string()))?;
    let graph = model.graph.as_mut().ok_or_else(|| refused("it has no graph".to_owned()))?;
    let shape_of_one = match &mut graph.input[..] {
        [input] => input.kind.as_mut().and_then(|kind| kind.tensor.as_mut()?.shape.as_mut()),
        _ => None,
    };
    let [_, sizes @ ..] = shape;
    match shape_of_one.map(|stated| &mut stated.dimensions[..]) {
        Some([_, stated @ ..]) if stated.len() == sizes.len() => {
            stated.clone_from_slice(&sizes.map(|size| Dimension { value: Some(size), name: None }));
        }
        _ => return Err(refused("it has not one input of four stated dimensions".to_owned())),
    }
    for tensor in graph.output.iter_mut().filter_map(|output| output.kind.as_mut()?.tensor.as_mut()) {
        tensor.shape = None;
    }
    Ok(model.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::ModelSource;

    #[test]
    fn another_size_changes_the_input_and_no_node_or_weight() {
        let before = ModelSource::BuiltIn.read().expect("it is built in");
        let after = with_input_shape(&before, [1, 3, 256, 448]).expect("it is a model");
        let read = |bytes: &[u8]| Model::decode(Bytes::copy_from_slice(bytes)).expect("a model");
        let (before, after) = (read(&before), read(&after));
        let (old, new) = (before.graph.expect("a graph"), after.graph.expect("a graph"));
        assert!(!old.node.is_empty() && !old.initializer.is_empty());
        assert_eq!((old.node, old.initializer), (new.node, new.initializer));
        assert_eq!((before.opset_import, before.metadata_props), (after.opset_import, after.metadata_props));
        let shape = new.input[0].kind.as_ref().and_then(|kind| kind.tensor.as_ref()?.shape.as_ref());
        let sizes: Vec<Option<i64>> =
            shape.expect("a shape").dimensions.iter().map(|dimension| dimension.value).collect();
        assert_eq!(sizes, [Some(1), Some(3), Some(256), Some(448)]);
    }

    #[test]
    fn a_file_that_is_no_model_is_refused() {
        for bytes in [&b"no model"[..], &[], &[0x3a, 0x00]] {
            assert!(with_input_shape(bytes, [1, 3, 256, 416]).is_err(), "{bytes:?}");
        }
    }
}
