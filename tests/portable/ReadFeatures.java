import hdf.hdf5lib.H5;
import hdf.hdf5lib.HDF5Constants;

/** Prints what test_portable.py expects: rows, length, sum of three rows, labels, layer. */
public class ReadFeatures {
    public static void main(String[] args) throws Exception {
        long file = H5.H5Fopen(args[0], HDF5Constants.H5F_ACC_RDONLY, HDF5Constants.H5P_DEFAULT);
        long set = H5.H5Dopen(file, "/features", HDF5Constants.H5P_DEFAULT);
        long space = H5.H5Dget_space(set);
        long[] dims = new long[2];
        H5.H5Sget_simple_extent_dims(space, dims, null);
        float[] rows = new float[3 * (int) dims[1]];
        long[] count = {3, dims[1]};
        H5.H5Sselect_hyperslab(space, HDF5Constants.H5S_SELECT_SET, new long[] {0, 0}, null, count, null);
        long memory = H5.H5Screate_simple(2, count, null);
        H5.H5Dread(set, HDF5Constants.H5T_NATIVE_FLOAT, memory, space, HDF5Constants.H5P_DEFAULT, rows);
        double sum = 0;
        for (float value : rows) sum += value;
        int[] labels = new int[(int) dims[0]];
        long labelSet = H5.H5Dopen(file, "/labels", HDF5Constants.H5P_DEFAULT);
        H5.H5Dread(labelSet, HDF5Constants.H5T_NATIVE_INT, HDF5Constants.H5S_ALL, HDF5Constants.H5S_ALL,
                HDF5Constants.H5P_DEFAULT, labels);
        int labelled = 0;
        for (int label : labels) labelled += label;
        System.out.printf(java.util.Locale.ROOT, "%d %d %.1f %d%n", dims[0], dims[1], sum, labelled);
        H5.H5Fclose(file);
    }
}
