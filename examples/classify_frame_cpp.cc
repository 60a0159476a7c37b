// A frame in memory to its class, from C++:  classify_frame_cpp MODEL.onnx WIDTH HEIGHT <frame.rgb
#include <engraft/predict.h>

#include <iostream>
#include <memory>
#include <string>
#include <vector>

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    eg_frame frame{};
    frame.format = EG_PIXELS_RGB;
    frame.width = std::stoul(argv[2]);
    frame.height = std::stoul(argv[3]);
    std::vector<char> pixels(3 * frame.width * frame.height);
    if (!std::cin.read(pixels.data(), static_cast<std::streamsize>(pixels.size()))) return 2;
    frame.pixels = reinterpret_cast<const uint8_t *>(pixels.data());

    eg_error err{};
    eg_net *net = nullptr;
    eg_predictor *predictor = nullptr;
    eg_prediction answer{};
    eg_status status = eg_net_load(argv[1], nullptr, &net, &err);
    std::unique_ptr<eg_net, decltype(&eg_net_free)> keep_net(net, eg_net_free);
    if (!status) status = eg_predictor_create(net, nullptr, &predictor, &err);
    std::unique_ptr<eg_predictor, decltype(&eg_predictor_free)> keep(predictor, eg_predictor_free);
    if (!status) status = eg_predict_pixels(predictor, &frame, 1, &answer, &err);
    if (!status) std::cout << answer.label << ' ' << answer.probability << '\n';
    if (status) std::cerr << eg_status_text(status) << ": " << err.message << '\n';
    return status ? 1 : 0;
}
