# -DEG_ONLY=predict: libengraft with what running a model needs, engraft/predict.h, and nothing else. It
# needs libc, libm and pthreads; jansson and protobuf-c are put into it from their archives.
set(EG_ROOMS base graph arch kernels net onnx image model)
set(EG_LEFT_OUT
  "/(base/(sha256|unicode|moves[a-z_]*|csv_rows|zip_map)|kernels/grad_[a-z_]*|net/(tape[a-z_]*|trainer)|onnx/onnx_write[a-z_]*|image/(archive|avif|augment|csv|dataset[a-z_]*|npy|scan|scan_archive|tar_stream|thumbnail|jpeg_write)|model/(feeder_dataset|fetch_net))\\.c$")
add_compile_definitions(EG_ONLY_PREDICT)
add_compile_options(-ffunction-sections -fdata-sections)
set(EG_BUNDLED libjansson.a libprotobuf-c.a)

# Objects of an archive. Distributions build archives for programs: the one symbol that would keep their
# code out of a shared library is jansson's question whether a stream is stdin, which is never asked here.
function(eg_bundle archive objects)
  find_library(EG_ARCHIVE_${archive} ${archive})
  if(NOT EG_ARCHIVE_${archive})
    message(FATAL_ERROR "${archive} is not found (its development package has it)")
  endif()
  set(folder ${CMAKE_BINARY_DIR}/bundled/${archive})
  file(MAKE_DIRECTORY ${folder})
  execute_process(COMMAND ${CMAKE_AR} x ${EG_ARCHIVE_${archive}} WORKING_DIRECTORY ${folder} RESULT_VARIABLE failed)
  file(GLOB made ${folder}/*.o)
  foreach(object ${made})
    if(NOT failed)
      execute_process(COMMAND ${CMAKE_OBJCOPY} --redefine-sym stdin=eg__no_stdin ${object} RESULT_VARIABLE failed)
    endif()
  endforeach()
  if(failed OR NOT made)
    message(FATAL_ERROR "cannot take ${EG_ARCHIVE_${archive}} apart")
  endif()
  set(${objects} ${made} PARENT_SCOPE)
endfunction()
