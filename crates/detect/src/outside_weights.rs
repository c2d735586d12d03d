//! External data: weights that exporters write into files beside the model.
//!
//! They are embedded into the model, so that it is one sequence of bytes with one hash.

use crate::onnx::{MOST_BYTES, Model, OutsideTensor};
use prost::Message as _;
use prost::bytes::Bytes;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Component, Path};

/// `TensorProto.DataLocation.EXTERNAL`.
const OUTSIDE: i32 = 1;

/// The model with the weights that lie in files of its folder. What is no model, or has all its weights, stays as it is.
///
/// # Errors
/// If such a file can't be read, or isn't in the folder.
pub(crate) fn with_own_weights(model: Vec<u8>, folder: &Path) -> io::Result<Vec<u8>> {
    let bytes = Bytes::from(model);
    let Ok(mut model) = Model::decode(bytes.clone()) else { return Ok(bytes.into()) };
    let mut total = bytes.len() as u64;
    let mut is_changed = false;
    for weights in model.graph.iter_mut().flat_map(|graph| graph.initializer.iter_mut()) {
        let Ok(mut tensor) = OutsideTensor::decode(weights.clone()) else { continue };
        if tensor.location != Some(OUTSIDE) {
            continue;
        }
        tensor.raw = Some(outside(&tensor, folder, &mut total)?.into());
        tensor.outside.clear();
        tensor.location = None;
        *weights = tensor.encode_to_vec().into();
        is_changed = true;
    }
    Ok(if is_changed { model.encode_to_vec() } else { bytes.into() })
}

/// The numbers of a tensor from its file.
fn outside(tensor: &OutsideTensor, folder: &Path, total: &mut u64) -> io::Result<Vec<u8>> {
    let name = tensor.name.as_deref().unwrap_or_default();
    let refused = |reason: String| {
        let text = format!("its weights {name:?} are in another file, and {reason}");
        io::Error::new(io::ErrorKind::InvalidData, text)
    };
    let stated = |key: &str| {
        let property = tensor.outside.iter().find(|property| property.key.as_deref() == Some(key));
        property.and_then(|property| property.value.as_deref())
    };
    let number = |key: &str| match stated(key) {
        None => Ok(None),
        Some(text) => text.parse::<u64>().map(Some).map_err(|_| refused(format!("its {key} is {text:?}"))),
    };
    let location = stated("location").ok_or_else(|| refused("which one is not said".into()))?;
    let path = Path::new(location);
    if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(refused(format!("{location:?} is not in the model's folder; put it there")));
    }
    let path = folder.join(path);
    let unreadable = |error: io::Error| {
        refused(format!("{} cannot be read ({error}); copy it beside the model", path.display()))
    };
    let metadata = path.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(refused(format!("{} is no file", path.display())));
    }
    let from = number("offset")?.unwrap_or(0);
    let length = number("length")?.unwrap_or(metadata.len().saturating_sub(from));
    if from.checked_add(length).is_none_or(|end| end > metadata.len()) {
        return Err(refused(format!("{} ends before them; copy it again", path.display())));
    }
    *total = total.saturating_add(length);
    if *total > MOST_BYTES {
        return Err(refused(
            "all together they are larger than 2 GiB; export the model in half precision".into(),
        ));
    }
    let mut file = File::open(&path).map_err(unreadable)?;
    file.seek(SeekFrom::Start(from)).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 != length {
        return Err(refused(format!("{} ends before them; copy it again", path.display())));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{Graph, Property};
    use crate::source::ModelSource;

    fn with_outside_weights(properties: &[(&str, &str)]) -> Vec<u8> {
        let outside = properties
            .iter()
            .map(|&(key, value)| Property { key: Some(key.into()), value: Some(value.into()) })
            .collect();
        let tensor = OutsideTensor {
            dimensions: vec![4],
            element: Some(2),
            name: Some("scale".into()),
            outside,
            location: Some(OUTSIDE),
            ..OutsideTensor::default()
        };
        let graph = Graph { initializer: vec![tensor.encode_to_vec().into()], ..Graph::default() };
        Model { graph: Some(graph), ..Model::default() }.encode_to_vec()
    }

    #[test]
    fn weights_beside_the_model_are_put_into_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("m.onnx.data"), [1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        let model = with_outside_weights(&[("location", "m.onnx.data"), ("offset", "2"), ("length", "4")]);
        let whole = with_own_weights(model, folder.path()).unwrap();
        let graph = Model::decode(Bytes::from(whole)).unwrap().graph.unwrap();
        let tensor = OutsideTensor::decode(graph.initializer[0].clone()).unwrap();
        assert_eq!(tensor.raw.as_deref(), Some(&[3, 4, 5, 6][..]));
        assert_eq!((tensor.outside, tensor.location), (Vec::new(), None));
        assert_eq!(
            (tensor.dimensions, tensor.element, tensor.name),
            (vec![4], Some(2), Some("scale".into()))
        );
        // Models with all their weights stay as they are, and so does what is no model.
        let built_in = ModelSource::BuiltIn.read().unwrap();
        assert_eq!(with_own_weights(built_in.to_vec(), folder.path()).unwrap(), *built_in);
        assert_eq!(with_own_weights(b"no model".to_vec(), folder.path()).unwrap(), b"no model");
    }

    #[test]
    fn weights_that_are_not_beside_the_model_are_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("short"), [0; 8]).unwrap();
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        for (properties, said) in [
            (&[("location", "absent")][..], "copy it beside the model"),
            (&[("location", "/etc/passwd")], "not in the model's folder"),
            (&[("location", "../other")], "not in the model's folder"),
            (&[("location", "folder")], "is no file"),
            (&[("location", "short"), ("offset", "4"), ("length", "5")], "ends before them"),
            (
                &[("location", "short"), ("offset", "18446744073709551615"), ("length", "5")],
                "ends before them",
            ),
            (&[("location", "short"), ("length", "many")], "its length is \"many\""),
            (&[], "which one is not said"),
        ] {
            let error = with_own_weights(with_outside_weights(properties), folder.path()).unwrap_err();
            assert!(error.to_string().contains(said), "{properties:?}: {error}");
        }
    }
}
