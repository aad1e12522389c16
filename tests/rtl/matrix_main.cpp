// Clock, reset and eight mixtures of stalls (per cent at the input, at the output) for matrix_case.sv.
#include "Vdesign.h"
#include "verilated.h"
#include <cstdio>
#include <cstdlib>

void vl_stop(const char*, int, const char*) {}  // the assertion of FINN's: what is lost shows in the results
void vl_finish(const char*, int, const char*) { std::exit(4); }
void vl_fatal(const char*, int, const char*, const char*) { std::exit(5); }

int main(int argc, char** argv) {
    VerilatedContext context;
    context.randSeed(7);
    Vdesign top{&context};
    unsigned begun[CASES];
    const int stalls[][2] = {{0, 0}, {0, 50}, {50, 0}, {30, 30}, {0, 90}, {10, 97}, {90, 0}, {0, 20}};
    for (int i = 0; i < CYCLES; ++i) {
        const auto& [in, out] = stalls[i * 8L / CYCLES];
        top.rst_n = i >= 5; top.stall_in = in; top.stall_out = out;
        top.clk = 0; top.eval();
        top.clk = 1; top.eval();
        for (int k = 0; k < CASES && i == CYCLES / 16; ++k) begun[k] = top.given[k][1];
        for (int k = 0; k < CASES && i == CYCLES / 8 - 8; ++k) begun[k] = top.given[k][1] - begun[k];
    }
    for (int i = 0; i < CASES; ++i)
        std::printf("%u %u %u %u %u\n", top.given[i][0], top.wrong[i][0], top.given[i][1], top.wrong[i][1], begun[i]);
    top.final();
}
