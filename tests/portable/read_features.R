suppressMessages(library(hdf5r))
file <- H5File$new(commandArgs(TRUE)[1], mode = "r")
features <- file[["features"]]
dims <- rev(features$dims) # R counts the other way round
sum <- sum(features[, 1:3])
cat(sprintf("%d %d %.1f %d\n", dims[1], dims[2], sum, sum(file[["labels"]][])))
file$close_all()
