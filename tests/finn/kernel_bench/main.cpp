// Clock and reset for the bench of the kernels; ends some cycles after all sinks have what they wait for.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include "Vdesign.h"
#include "verilated.h"

// finnyaml compiles its programs without the runtime's own ways to end
void vl_finish(const char*, int, const char*) { std::exit(4); }
void vl_stop(const char*, int, const char*) { std::exit(5); }
void vl_fatal(const char* file, int line, const char*, const char* message) {
    std::fprintf(stderr, "%s:%d: %s\n", file, line, message);
    std::exit(6);
}

int main(int argc, char** argv) {
    auto context = std::make_unique<VerilatedContext>();
    context->commandArgs(argc, argv);
    auto bench = std::make_unique<Vdesign>(context.get());
    int after = 0;
    for (int cycle = 0; cycle < 200000 && after < 50; ++cycle) {
        bench->rst_n = cycle >= 5;
        bench->clk = 0;
        bench->eval();
        context->timeInc(1);
        bench->clk = 1;
        bench->eval();
        context->timeInc(1);
        if (bench->done) ++after;
    }
    bench->final();
    return bench->done ? 0 : 3;
}
