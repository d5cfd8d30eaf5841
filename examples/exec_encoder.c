/* An encoder in C for the "exec:" scheme; requires only the standard library.

       cc -O2 -o exec_encoder exec_encoder.c
       disentmetrics score "exec:./exec_encoder" --data dsprites --samples 2000

   A .npy blob is "\x93NUMPY", two bytes of version, the length of the header (two bytes, little-endian, in
   version 1), the header, which is a Python dictionary as text, and the numbers. This program
   responds to one blob after another: three latents for each image, its brightness and the
   centre of its light (row, column). */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *reason) {
    fprintf(stderr, "exec_encoder: %s\n", reason);
    exit(1);
}

/* Returns 0 at the end of the input, where a blob would begin. */
static int read_blob(unsigned long shape[4], uint8_t **pixels) {
    unsigned char start[10];
    size_t n_read = fread(start, 1, sizeof start, stdin);
    if (n_read == 0) return 0;
    if (n_read != sizeof start || memcmp(start, "\x93NUMPY", 6) != 0 || start[6] != 1)
        fail("the input is not a .npy blob of version 1");

    size_t length = start[8] + 256u * start[9];
    char *header = calloc(length + 1, 1);
    if (!header || fread(header, 1, length, stdin) != length) fail("the header is cut off");
    const char *sizes = strstr(header, "'shape': (");
    if (!strstr(header, "'|u1'") || !sizes ||
        sscanf(sizes, "'shape': (%lu, %lu, %lu, %lu)", shape, shape + 1, shape + 2, shape + 3) != 4)
        fail("the input must be uint8 of shape (n, height, width, channels)");
    free(header);

    size_t n_bytes = shape[0] * shape[1] * shape[2] * shape[3];
    *pixels = malloc(n_bytes ? n_bytes : 1);
    if (!*pixels || fread(*pixels, 1, n_bytes, stdin) != n_bytes) fail("the images are cut off");
    return 1;
}

static void write_blob(const double *codes, unsigned long n, unsigned long n_codes) {
    char header[118]; /* with the ten bytes before it, a multiple of 64 */
    int used = snprintf(header, sizeof header,
                        "{'descr': '<f8', 'fortran_order': False, 'shape': (%lu, %lu), }", n, n_codes);
    memset(header + used, ' ', sizeof header - used);
    header[sizeof header - 1] = '\n';
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, stdout);
    fwrite(header, 1, sizeof header, stdout);
    fwrite(codes, sizeof *codes, n * n_codes, stdout); /* on a little-endian machine */
    fflush(stdout);
}

int main(void) {
    unsigned long shape[4];
    uint8_t *pixels;
    while (read_blob(shape, &pixels)) {
        double *codes = calloc(shape[0] * 3 + 1, sizeof *codes);
        if (!codes) fail("out of memory");
        const uint8_t *pixel = pixels;
        for (unsigned long image = 0; image < shape[0]; image++) {
            double total = 1e-9, rows = 0, columns = 0;
            for (unsigned long row = 0; row < shape[1]; row++)
                for (unsigned long column = 0; column < shape[2]; column++)
                    for (unsigned long channel = 0; channel < shape[3]; channel++, pixel++) {
                        total += *pixel;
                        rows += (double)*pixel * row;
                        columns += (double)*pixel * column;
                    }
            codes[3 * image] = total / (shape[1] * shape[2] * shape[3]);
            codes[3 * image + 1] = rows / total;
            codes[3 * image + 2] = columns / total;
        }
        write_blob(codes, shape[0], 3);
        free(codes);
        free(pixels);
    }
    return 0;
}
