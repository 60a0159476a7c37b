/* onnx_wire.c: protobuf's wire format, read in place: a message is a row of fields, a field
 * a varint (number << 3 | type) and its value. Large values are thereby never copied. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "onnx/onnx_private.h"

bool eg__wire_varint(struct eg_span *span, uint64_t *value)
{
    uint64_t made = 0;
    for (unsigned i = 0; i < 10 && i < span->size; i++) {
        uint64_t byte = span->bytes[i];
        made |= (byte & 127) << (7 * i);
        if (byte & 128) continue;
        span->bytes += i + 1;
        span->size -= i + 1;
        *value = made;
        return true;
    }
    return false;
}

static bool fixed(struct eg_span *message, size_t n, uint64_t *value)
{
    if (message->size < n) return false;
    *value = 0;
    memcpy(value, message->bytes, n); /* little-endian, as every machine we build for */
    message->bytes += n;
    message->size -= n;
    return true;
}

static bool read_field(struct eg_span *message, struct eg_field *field)
{
    uint64_t key, size;
    if (!eg__wire_varint(message, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX) return false;
    field->number = (uint32_t)(key >> 3);
    field->type = key & 7;
    field->number_value = 0;
    field->span = (struct eg_span){NULL, 0};
    switch (field->type) {
    case 0: return eg__wire_varint(message, &field->number_value);
    case 1: return fixed(message, 8, &field->number_value);
    case 5: return fixed(message, 4, &field->number_value);
    case 2:
        if (!eg__wire_varint(message, &size) || size > message->size) return false;
        field->span = (struct eg_span){message->bytes, (size_t)size};
        message->bytes += size;
        message->size -= (size_t)size;
        return true;
    default: return false;
    }
}

bool eg__wire_next(struct eg_span *message, struct eg_field *field)
{
    if (!message->bytes || !message->size) return false;
    if (read_field(message, field)) return true;
    message->bytes = NULL;
    return false;
}

static void put_varint(struct eg_text *out, uint64_t value)
{
    char byte[10];
    size_t n = 0;
    for (; value > 127; value >>= 7) byte[n++] = (char)(value | 128);
    byte[n++] = (char)value;
    eg__text_append_bytes(out, byte, n);
}

static void put_span(struct eg_text *out, uint32_t number, const void *bytes, size_t n)
{
    put_varint(out, (uint64_t)number << 3 | 2);
    put_varint(out, n);
    eg__text_append_bytes(out, bytes, n);
}

enum { NODE_ATTRIBUTE = 5, ATTRIBUTE_TENSOR = 5 };

/* The attribute with its tensor replaced by the tensor's place in the file. */
static bool slim_attribute(struct eg_span attribute, const uint8_t *file, struct eg_text *out)
{
    struct eg_field field;
    const uint8_t *start = attribute.bytes;
    for (; eg__wire_next(&attribute, &field); start = attribute.bytes) {
        if (field.number == ATTRIBUTE_TENSOR && field.type == 2) {
            uint64_t place[2] = {(uint64_t)(field.span.bytes - file), field.span.size};
            put_span(out, ATTRIBUTE_TENSOR, place, sizeof place);
        } else {
            eg__text_append_bytes(out, (const char *)start, (size_t)(attribute.bytes - start));
        }
    }
    return attribute.bytes && !out->failed;
}

EgOnnx__NodeProto *eg__wire_node(struct eg_span node, const uint8_t *file)
{
    struct eg_text slim = {0}, attribute = {0};
    struct eg_field field;
    bool fine = true;
    const uint8_t *start = node.bytes;
    for (; fine && eg__wire_next(&node, &field); start = node.bytes) {
        if (field.number == NODE_ATTRIBUTE && field.type == 2) {
            attribute.length = 0;
            fine = slim_attribute(field.span, file, &attribute);
            if (fine)
                put_span(&slim, NODE_ATTRIBUTE, attribute.chars ? attribute.chars : "", attribute.length);
        } else {
            eg__text_append_bytes(&slim, (const char *)start, (size_t)(node.bytes - start));
        }
    }
    EgOnnx__NodeProto *unpacked = NULL;
    if (fine && node.bytes && !slim.failed)
        unpacked = eg_onnx__node_proto__unpack(NULL, slim.length, (const uint8_t *)slim.chars);
    free(slim.chars);
    free(attribute.chars);
    return unpacked;
}

EgOnnx__AttributeProto *eg__wire_attribute(struct eg_span attribute, const uint8_t *file)
{
    struct eg_text slim = {0};
    EgOnnx__AttributeProto *unpacked = NULL;
    if (slim_attribute(attribute, file, &slim))
        unpacked = eg_onnx__attribute_proto__unpack(NULL, slim.length, (const uint8_t *)slim.chars);
    free(slim.chars);
    return unpacked;
}
