import unittest

import numpy
from onnx import TensorProto, helper, numpy_helper

from pigtrain import average, calibrate


def model(weight, constant, shape=(2,)):
    weights = numpy_helper.from_array(numpy.full(shape, weight, "f2"), "w")
    value = numpy_helper.from_array(numpy.array(constant, "f4"), "")
    nodes = [helper.make_node("Constant", [], ["c"], value=value), helper.make_node("Cast", ["w"], ["v"], to=TensorProto.FLOAT), helper.make_node("Add", ["v", "c"], ["y"])]
    graph = helper.make_graph(nodes, "g", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, list(shape))], [weights])
    made = helper.make_model(graph)
    for key in ("names", calibrate.KEY):
        entry = made.metadata_props.add()
        entry.key, entry.value = key, str(weight)
    return made


class Average(unittest.TestCase):
    def test_weights_and_constants_lie_between_the_two(self):
        found = average.average(model(1.0, 4.0), model(3.0, 8.0), 0.25)
        self.assertEqual(numpy_helper.to_array(found.graph.initializer[0]).tolist(), [1.5, 1.5])
        self.assertEqual(float(numpy_helper.to_array(average.tensors(found)["c"])), 5.0)

    def test_a_calibration_does_not_outlive_the_weights_it_was_made_for(self):
        found = average.average(model(1.0, 4.0), model(3.0, 8.0), 0.5)
        self.assertEqual([entry.key for entry in found.metadata_props], ["names"])

    def test_models_of_other_shapes_are_refused(self):
        with self.assertRaisesRegex(ValueError, r"\(2,\).*\(3,\)"):
            average.average(model(1.0, 4.0), model(3.0, 8.0, (3,)), 0.5)


if __name__ == "__main__":
    unittest.main()
