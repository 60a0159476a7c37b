"""Grad-CAM against PyTorch on the same network with random weights: by hooks, and by the package
`grad-cam` where it is installed."""
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cli"))
from program import Case, main

try:
    import numpy as np
    import torch
    import torchvision
except ImportError as missing:
    print(f"not compared with PyTorch: {missing}")
    sys.exit(77)
try:
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.image import scale_cam_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
except ImportError:
    GradCAM = None

torch.set_num_threads(1)
NETWORKS = {"alexnet": lambda m: m.avgpool, "resnet18": lambda m: m.layer4[-1],
            "mobilenet_v2": lambda m: m.features[-1], "squeezenet1_1": lambda m: m.classifier[2]}
SIZE = 96


def made(name):
    torch.manual_seed(3)
    model = getattr(torchvision.models, name)(weights=None, num_classes=7)
    random = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=random)
            module.running_var.uniform_(0.5, 1.5, generator=random)
        if hasattr(module, "inplace"):
            module.inplace = False
    return model.eval()


class GradCam(Case):
    def reference(self, model, layer, x, k):
        kept = {}
        hook = layer.register_forward_hook(lambda _, __, output: kept.update(y=output))
        score = model(x)[0, k]
        hook.remove()
        gradient = torch.autograd.grad(score, kept["y"])[0]
        cam = (gradient.mean((2, 3), keepdim=True) * kept["y"]).sum(1)[0].detach()
        return torch.relu(cam).numpy(), float(cam.abs().max()), float(score)

    def test_the_map_is_theirs(self):
        for name, layer_of in NETWORKS.items():
            with self.subTest(network=name):
                model = made(name)
                torch.save(model.state_dict(), self.here / f"{name}.pth")
                # of alexnet 224: with another size its pooling is no identity, and the map the one before it
                size = 224 if name == "alexnet" else SIZE
                x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(5))
                np.save(self.here / "x.npy", x.numpy().astype("<f4"))
                for k in (0, 4):
                    ours = self.json("explain", f"{name}={name}.pth", "x.npy", "--class", f"class {k}", "--size", size,
                                     "--method", "grad-cam")[0]
                    theirs, largest, score = self.reference(model, layer_of(model), x, k)
                    self.assertEqual((ours["method"], ours["bias"]), ("grad-cam", None))
                    self.assertEqual(np.shape(ours["map"]), theirs.shape)
                    np.testing.assert_allclose(ours["map"], theirs, atol=1e-4 * largest)
                    self.assertAlmostEqual(ours["score"], score, delta=1e-4 * max(1, abs(score)))
                    if GradCAM and theirs.max() > largest / 100:  # it divides by its maximum
                        with GradCAM(model=model, target_layers=[layer_of(model)]) as cam:
                            scaled = cam(input_tensor=x, targets=[ClassifierOutputTarget(k)])[0]
                        ours_scaled = scale_cam_image(np.array(ours["map"], np.float32)[None], (size, size))
                        ours_scaled = scale_cam_image(ours_scaled)[0]  # as it does: once a layer, once in all
                        np.testing.assert_allclose(ours_scaled, scaled, atol=1e-4)



if __name__ == "__main__":
    main()
