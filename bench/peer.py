"""One network in one other engine, at the command of run.py: peer.py ENGINE NET BATCH THREADS IMAGES.
NET is the path without suffix: NET.onnx, NET.mnn, NET.ncnn.param ... are made by run.py.
Commands on standard input as in engine_bench.c: "time N", "work N", "dump FILE"."""
import sys
import time

import numpy as np

engine, net, batch, threads, images = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
x_nhwc = np.fromfile(images, np.float32).reshape(-1, 224, 224, 3)[:batch]
x = np.ascontiguousarray(x_nhwc.transpose(0, 3, 1, 2))

if engine == "onnxruntime":
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(net + ".onnx", options, providers=["CPUExecutionProvider"])
    version = onnxruntime.__version__
    def run():
        return session.run(None, {"image": x})[0]
elif engine == "openvino":
    import openvino
    core = openvino.Core()
    model = core.read_model(net + ".onnx")
    model.reshape([batch, 3, 224, 224])
    compiled = core.compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    version = openvino.__version__.split("-")[0]
    def run():
        return request.infer({0: x}, share_inputs=True)[compiled.output(0)]
elif engine == "mnn":
    import MNN
    manager = MNN.nn.create_runtime_manager(({"backend": "CPU", "precision": "high", "numThread": threads},))
    module = MNN.nn.load_module_from_file(net + ".mnn", ["image"], ["features"], runtime_manager=manager)
    version = MNN.version()
    given = MNN.expr.placeholder([batch, 3, 224, 224], MNN.expr.NCHW)
    given.write(x)
    given = MNN.expr.convert(given, MNN.expr.NC4HW4)
    def run():
        y = MNN.expr.convert(module.forward([given])[0], MNN.expr.NCHW)
        return y.read()
elif engine == "ncnn":
    import ncnn
    if batch != 1:
        raise SystemExit("one image at a time only")
    options = ncnn.Net()
    options.opt.num_threads = threads
    options.opt.use_fp16_packed = options.opt.use_fp16_storage = options.opt.use_fp16_arithmetic = False
    options.opt.use_bf16_storage = False
    options.load_param(net + ".ncnn.param")
    options.load_model(net + ".ncnn.bin")
    version = ncnn.__version__
    given = ncnn.Mat(x[0])
    def run():
        extractor = options.create_extractor()
        extractor.input("in0", given)
        return np.array(extractor.extract("out0")[1])[None]
elif engine == "torch":
    import torch
    torch.set_num_threads(threads)
    model = torch.jit.load(net + ".pt").eval().to(memory_format=torch.channels_last)
    model = torch.jit.optimize_for_inference(torch.jit.freeze(model))
    given = torch.from_numpy(x).to(memory_format=torch.channels_last)
    version = torch.__version__
    def run():
        with torch.inference_mode():
            return model(given).numpy()
elif engine == "xnnpack":  # Keras's own network of that name, converted for TensorFlow Lite: other weights
    import os
    import tensorflow
    applications = {"vgg16": "VGG16", "resnet50": "ResNet50", "mobilenet_v2": "MobileNetV2",
                    "densenet121": "DenseNet121", "efficientnet_b0": "EfficientNetB0"}
    if not os.path.exists(net + ".tflite"):
        build = getattr(tensorflow.keras.applications, applications[os.path.basename(net)])
        model = build(weights=None, include_top=False, input_shape=(224, 224, 3),
                      pooling=None if net.endswith("vgg16") else "avg")
        with open(net + ".tflite", "wb") as file:
            file.write(tensorflow.lite.TFLiteConverter.from_keras_model(model).convert())
    interpreter = tensorflow.lite.Interpreter(net + ".tflite", num_threads=threads)
    given, got = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    interpreter.resize_tensor_input(given, [batch, 224, 224, 3])
    interpreter.allocate_tensors()
    version = tensorflow.__version__
    def run():
        interpreter.set_tensor(given, x_nhwc)
        interpreter.invoke()
        return interpreter.get_tensor(got)
else:
    raise SystemExit("unknown engine " + engine)

features = run()
with open("/proc/self/status") as status:
    peak = next(line for line in status if line.startswith("VmHWM")).split()[1]
print(version, int(peak) * 1024, flush=True)
for line in sys.stdin:
    command, argument = line.split()
    if command in ("time", "work"):
        clock = time.perf_counter if command == "time" else time.process_time
        times = []
        for _ in range(int(argument)):
            start = clock()
            features = run()
            times.append(clock() - start)
        times.sort()
        print("%.9f %.9f" % (times[0], times[len(times) // 2]), flush=True)
    else:
        np.asarray(features, np.float32).reshape(batch, -1).tofile(argument)
        print("done", flush=True)
