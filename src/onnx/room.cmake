# The messages of ONNX that we read and write: C from onnx_subset.proto by protobuf-c's part of protoc
# (protoc-c, which needs no protoc, is on its way out).
find_program(EG_PROTOC protoc)
find_program(EG_PROTOC_GEN_C protoc-gen-c)
if(EG_PROTOC AND EG_PROTOC_GEN_C)
  set(EG_PROTOC_C ${EG_PROTOC} --plugin=protoc-gen-c=${EG_PROTOC_GEN_C})
else()
  find_program(EG_PROTOC_C protoc-c REQUIRED)
endif()
set(onnx_generated ${CMAKE_CURRENT_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${onnx_generated})
add_custom_command(
  OUTPUT ${onnx_generated}/onnx_subset.pb-c.c ${onnx_generated}/onnx_subset.pb-c.h
  COMMAND ${EG_PROTOC_C} --c_out=${onnx_generated} -I${CMAKE_SOURCE_DIR}/src/onnx
          ${CMAKE_SOURCE_DIR}/src/onnx/onnx_subset.proto
  DEPENDS ${CMAKE_SOURCE_DIR}/src/onnx/onnx_subset.proto)
target_sources(room_onnx PRIVATE ${onnx_generated}/onnx_subset.pb-c.c ${onnx_generated}/onnx_subset.pb-c.h)
set_source_files_properties(${onnx_generated}/onnx_subset.pb-c.c PROPERTIES COMPILE_OPTIONS "-w")
target_include_directories(room_onnx SYSTEM PRIVATE ${onnx_generated})
