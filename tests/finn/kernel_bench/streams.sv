// The two ends of a stream in the bench of the kernels. +input_stall and +output_stall say in how many per cent of the
// cycles they do nothing.

// Offers the words of <NAME>.hex, one after another; writes in which cycles the first and the last were taken.
module bench_source #(
    parameter int WIDTH = 8,
    parameter int BEATS = 1,
    parameter     NAME = ""
) (
    input  logic             clk,
    input  logic             rst_n,
    input  int               cycle,
    output logic [WIDTH-1:0] data,
    output logic             valid,
    input  logic             ready
);
    logic [WIDTH-1:0] words[BEATS];
    int stall = 0, position = 0, taken = 0, first = 0, file;
    initial begin
        void'($value$plusargs("input_stall=%d", stall));
        $readmemh({NAME, ".hex"}, words);
        file = $fopen({NAME, ".taken"}, "w");
    end
    always_ff @(posedge clk) begin
        if (!rst_n) begin
            valid <= 1'b0;
        end else begin
            if (valid && ready) begin
                taken <= taken + 1;
                if (taken == 0) first <= cycle;
                if (taken == BEATS - 1) $fdisplay(file, "%0d %0d", first, cycle);
            end
            if (!valid || ready) begin
                if (position < BEATS && $urandom_range(99) >= stall) begin
                    valid    <= 1'b1;
                    data     <= words[position];
                    position <= position + 1;
                end else begin
                    valid <= 1'b0;
                    data  <= ~data;  // whoever takes it now takes rubbish
                end
            end
        end
    end
endmodule

// Takes BEATS words into <NAME>.out, each with its cycle; then waits for any that should not come.
module bench_sink #(
    parameter int WIDTH = 8,
    parameter int BEATS = 1,
    parameter     NAME = ""
) (
    input  logic             clk,
    input  logic             rst_n,
    input  int               cycle,
    input  logic [WIDTH-1:0] data,
    input  logic             valid,
    output logic             ready,
    output logic             done
);
    logic [WIDTH-1:0] earlier;
    logic waiting = 1'b0;
    int stall = 0, taken = 0, file;
    assign done = taken >= BEATS;
    initial begin
        void'($value$plusargs("output_stall=%d", stall));
        file = $fopen({NAME, ".out"}, "w");
    end
    always_ff @(posedge clk) begin
        ready   <= rst_n && $urandom_range(99) >= stall;
        waiting <= rst_n && valid && !ready;
        earlier  <= data;
        if (rst_n && waiting && (!valid || data !== earlier)) $fdisplay(file, "a waiting beat changed");
        if (rst_n && valid && ready) begin
            taken <= taken + 1;
            $fdisplay(file, "%h %0d", data, cycle);
        end
    end
endmodule
