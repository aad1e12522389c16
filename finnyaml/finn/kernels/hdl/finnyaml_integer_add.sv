// Sums of PE integers of one stream and PE of another, or of one stream and constants.
//
// CONSTANTS 0: s1 is the other stream. The two may come at different times; each has one place to wait.
// CONSTANTS n: beat i of s0 meets word i mod n of the memory image INIT_FILE (PE * B_BITS bits per word, in the order
//   of a beat), and s1 is left alone.
// Each operand has its width and sign; the sum is given modulo 2**OUT_BITS.
module finnyaml_integer_add #(
    parameter int unsigned PE = 1,
    parameter int unsigned A_BITS = 4,
    parameter int unsigned B_BITS = 4,
    parameter int unsigned OUT_BITS = 5,
    parameter bit          A_SIGNED = 0,
    parameter bit          B_SIGNED = 0,
    parameter int unsigned CONSTANTS = 0,
    parameter              INIT_FILE = ""
) (
    input  logic                   ap_clk,
    input  logic                   ap_rst_n,
    input  logic [PE*A_BITS-1:0]   s0_tdata,
    input  logic                   s0_tvalid,
    output logic                   s0_tready,
    input  logic [PE*B_BITS-1:0]   s1_tdata,
    input  logic                   s1_tvalid,
    output logic                   s1_tready,
    output logic [PE*OUT_BITS-1:0] m_tdata,
    output logic                   m_tvalid,
    input  logic                   m_tready
);
    logic [PE*A_BITS-1:0]   a;
    logic [PE*B_BITS-1:0]   b;
    logic                   a_full, b_full, sum_ready, take;
    logic [PE*OUT_BITS-1:0] sum;

    assign take      = a_full && b_full && sum_ready;
    assign s0_tready = !a_full || take;

    always_ff @(posedge ap_clk) begin
        if (s0_tready) a <= s0_tdata;
        if (!ap_rst_n) a_full <= 1'b0;
        else if (s0_tready) a_full <= s0_tvalid;
    end

    if (CONSTANTS == 0) begin : other_stream
        assign s1_tready = !b_full || take;
        always_ff @(posedge ap_clk) begin
            if (s1_tready) b <= s1_tdata;
            if (!ap_rst_n) b_full <= 1'b0;
            else if (s1_tready) b_full <= s1_tvalid;
        end
    end else begin : constants
        localparam int unsigned COUNT_BITS = CONSTANTS > 1 ? $clog2(CONSTANTS) : 1;
        logic [PE*B_BITS-1:0]  words[CONSTANTS];
        logic [COUNT_BITS-1:0] address, next_address;

        initial $readmemh(INIT_FILE, words);
        assign next_address = address == COUNT_BITS'(CONSTANTS - 1) ? '0 : address + 1'b1;
        assign b_full       = 1'b1;
        assign s1_tready    = 1'b0;
        // the word is read one beat ahead, so that a large memory can be a block RAM
        always_ff @(posedge ap_clk) begin
            if (!ap_rst_n) begin
                address <= '0;
                b       <= words[0];
            end else if (take) begin
                address <= next_address;
                b       <= words[next_address];
            end
        end
    end

    for (genvar lane = 0; lane < PE; lane++) begin : lanes
        logic [OUT_BITS-1:0] a_wide, b_wide;
        if (A_SIGNED) begin : signed_a
            assign a_wide = OUT_BITS'($signed(a[lane*A_BITS+:A_BITS]));
        end else begin : unsigned_a
            assign a_wide = OUT_BITS'(a[lane*A_BITS+:A_BITS]);
        end
        if (B_SIGNED) begin : signed_b
            assign b_wide = OUT_BITS'($signed(b[lane*B_BITS+:B_BITS]));
        end else begin : unsigned_b
            assign b_wide = OUT_BITS'(b[lane*B_BITS+:B_BITS]);
        end
        assign sum[lane*OUT_BITS+:OUT_BITS] = a_wide + b_wide;
    end

    finnyaml_skid #(.WIDTH(PE * OUT_BITS)) out (
        .clk(ap_clk), .rst_n(ap_rst_n),
        .s_data(sum), .s_valid(a_full && b_full), .s_ready(sum_ready),
        .m_data(m_tdata), .m_valid(m_tvalid), .m_ready(m_tready)
    );
endmodule
