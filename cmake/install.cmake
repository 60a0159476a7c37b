# What `make install` puts in place. The manual page and the completions are printed by the
# program itself, from the option tables that --help is made of.
install(TARGETS engraft_static engraft_shared
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(EG_ONLY)
  install(FILES include/engraft/predict.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/engraft)
else()
  install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(DIRECTORY models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/engraft/models)
endif()

# For those who link libengraft.a: the libraries it calls, whose own shared libraries know the rest.
set(EG_PRIVATE_LIBRARIES "")
foreach(library ${HDF5_C_LIBRARIES})
  if(library MATCHES "libhdf5")
    string(APPEND EG_PRIVATE_LIBRARIES " ${library}")
  endif()
endforeach()
foreach(library ${DEPS_LIBRARIES})
  string(APPEND EG_PRIVATE_LIBRARIES " -l${library}")
endforeach()
# Where things lie is said from where the file itself lies: the tree may be moved as a whole.
file(RELATIVE_PATH EG_LIB_TO_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR} ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH EG_LIB_TO_INCLUDE ${CMAKE_INSTALL_FULL_LIBDIR} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
string(STRIP "${EG_PRIVATE_LIBRARIES} -lpthread -ldl -lm" EG_PRIVATE_LIST)
string(REPLACE " " ";" EG_PRIVATE_LIST "${EG_PRIVATE_LIST}")
include(CMakePackageConfigHelpers)
configure_file(cmake/engraft-config.cmake.in engraft-config.cmake @ONLY)
write_basic_package_version_file(engraft-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/engraft-config.cmake ${CMAKE_BINARY_DIR}/engraft-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/engraft)
foreach(name engraft engraft-static)
  configure_file(cmake/${name}.pc.in ${name}.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

if(NOT TARGET engraft OR CMAKE_CROSSCOMPILING)
  return()
endif()
install(TARGETS engraft RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

function(eg_printed_by_engraft file destination)
  add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/printed/${file}
    COMMAND engraft ${ARGN} > ${CMAKE_BINARY_DIR}/printed/${file}
    DEPENDS engraft VERBATIM)
  add_custom_target(print_${file} ALL DEPENDS ${CMAKE_BINARY_DIR}/printed/${file})
  install(FILES ${CMAKE_BINARY_DIR}/printed/${file} DESTINATION ${destination})
endfunction()

file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/printed)
eg_printed_by_engraft(engraft.1 ${CMAKE_INSTALL_MANDIR}/man1 --man)
eg_printed_by_engraft(engraft ${CMAKE_INSTALL_DATADIR}/bash-completion/completions --completion bash)
eg_printed_by_engraft(_engraft ${CMAKE_INSTALL_DATADIR}/zsh/site-functions --completion zsh)
eg_printed_by_engraft(engraft.fish ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d --completion fish)
