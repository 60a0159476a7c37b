// takeaway.js: what there is to take away.
import {make, fill, icon} from "./parts.js";
import {pythonSnippet, copyable} from "./report/how.js";
import {words} from "./words.js";
import {watch, get} from "./api.js";

export function cSnippet(model) {
    return `#include <engraft/predict.h>
#include <stdio.h>
#include <stdlib.h>

/* cc predict.c $(pkg-config --cflags --libs engraft) -o predict; ./predict photo.jpg */
int main(int argc, char **argv)
{
    static char bytes[64 << 20];
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (!file) return 2;
    struct eg_photo_bytes photo = {bytes, fread(bytes, 1, sizeof bytes, file)};
    fclose(file);

    struct eg_error err = {.message = ""};
    struct eg_prediction answer = {0};
    eg_net *net = NULL;
    eg_predictor *predictor = NULL;
    enum eg_status status = eg_net_load(${JSON.stringify(model)}, NULL, &net, &err);
    if (!status) status = eg_predictor_create(net, NULL, &predictor, &err);
    if (!status) status = eg_predict_bytes(predictor, &photo, 1, &answer, &err);
    if (status || answer.error)
        fprintf(stderr, "%s\\n", status ? err.message : answer.error);
    else
        printf("%s %.6f\\n", answer.label, (double)answer.probability);
    int code = status || answer.error;
    eg_predictor_free(predictor);
    eg_net_free(net);
    return code;
}
`;
}

function offer(kind, title, text, label, main = false) {
    return make("article.offer", {}, make("h2", {}, title), make("p", {}, text),
        make(main ? "a.button.main" : "a.button", {href: `/api/export/${kind}`, download: "", id: `take-${kind}`}, icon("take"), label));
}

export function showTake(place) {
    const none = make("section.empty", {hidden: true}, make("p", {}, words.takeNone)), offers = make("div.offers", {},
        offer("onnx", words.takeOnnx, words.takeOnnxText, words.takeOnnxButton, true), offer("report", words.takeReport, words.takeReportText, words.takeReportButton),
        offer("h5", words.takeH5, words.takeH5Text, words.takeH5Button), offer("zip", words.takeZip, words.takeZipText, words.takeZipButton));
    const commands = make("div", {}), folder = make("bdi", {});
    const snippets = make("div", {});
    fill(place, make("div.view-head", {}, make("h1", {}, words.takeTitle)), make("p", {}, words.takeText, " ", folder), none, offers, make("h2", {}, words.takeCommands), commands, snippets);
    let model = null;
    const end = watch(now => {
        folder.textContent = now.folder;
        none.hidden = Boolean(now.model);
        offers.children[0].hidden = offers.children[1].hidden = snippets.hidden = !now.model;
        const name = `${now.name.replace(/[^A-Za-z0-9]/g, "_").slice(0, 40)}.onnx`;
        if (name !== model) {
            model = name;
            fill(snippets, make("h2", {}, words.takePython), copyable(pythonSnippet(name), "snippet-python"), make("h2", {}, words.takeC), copyable(cSnippet(name), "snippet-c"));
        }
    });
    get("/api/export/commands").then(reply => fill(commands, copyable(reply.commands.join("\n"), "commands"))).catch(() => {});
    return end;
}
