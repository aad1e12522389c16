// Pooling behind a depthwise sliding window: KERNEL beats of PE channels go in, one beat of PE results comes out.
//
// MAXIMUM 1: the largest of the KERNEL values of each channel (OUT_BITS = IN_BITS).
// MAXIMUM 0: their sum, computed with ACC_BITS, shifted right by SHIFT, of which OUT_BITS are given.
// SIGNED says how the values are read. A beat is taken in every cycle in which the output is not full.
module finnyaml_pool #(
    parameter int unsigned PE = 1,
    parameter int unsigned KERNEL = 4,
    parameter int unsigned IN_BITS = 4,
    parameter int unsigned ACC_BITS = 4,
    parameter int unsigned OUT_BITS = 4,
    parameter int unsigned SHIFT = 0,
    parameter bit          SIGNED = 0,
    parameter bit          MAXIMUM = 1
) (
    input  logic                   ap_clk,
    input  logic                   ap_rst_n,
    input  logic [PE*IN_BITS-1:0]  s0_tdata,
    input  logic                   s0_tvalid,
    output logic                   s0_tready,
    output logic [PE*OUT_BITS-1:0] m_tdata,
    output logic                   m_tvalid,
    input  logic                   m_tready
);
    localparam int unsigned COUNT_BITS = KERNEL > 1 ? $clog2(KERNEL) : 1;

    logic [COUNT_BITS-1:0]   position;
    logic [PE*ACC_BITS-1:0]  held, value;
    logic [PE*OUT_BITS-1:0]  result;
    logic                    is_first, is_last, result_ready;

    assign is_first  = position == '0;
    assign is_last   = position == COUNT_BITS'(KERNEL - 1);
    assign s0_tready = result_ready || !is_last;

    for (genvar lane = 0; lane < PE; lane++) begin : lanes
        logic [IN_BITS-1:0]  x;
        logic [ACC_BITS-1:0] wide, earlier, after;
        assign x      = s0_tdata[lane*IN_BITS+:IN_BITS];
        assign earlier = held[lane*ACC_BITS+:ACC_BITS];
        if (SIGNED) begin : signed_values
            assign wide = ACC_BITS'($signed(x));
        end else begin : unsigned_values
            assign wide = ACC_BITS'(x);
        end
        if (MAXIMUM) begin : largest
            logic is_larger;
            if (SIGNED) begin : signed_values
                assign is_larger = $signed(wide) > $signed(earlier);
            end else begin : unsigned_values
                assign is_larger = wide > earlier;
            end
            assign after = is_first || is_larger ? wide : earlier;
        end else begin : sum
            assign after = is_first ? wide : earlier + wide;
        end
        assign value[lane*ACC_BITS+:ACC_BITS] = after;
        if (SIGNED) begin : signed_result
            assign result[lane*OUT_BITS+:OUT_BITS] = OUT_BITS'($signed(after) >>> SHIFT);
        end else begin : unsigned_result
            assign result[lane*OUT_BITS+:OUT_BITS] = OUT_BITS'(after >> SHIFT);
        end
    end

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) position <= '0;
        else if (s0_tvalid && s0_tready) position <= is_last ? '0 : position + 1'b1;
        if (s0_tvalid && s0_tready) held <= value;
    end

    finnyaml_skid #(.WIDTH(PE * OUT_BITS)) out (
        .clk(ap_clk), .rst_n(ap_rst_n),
        .s_data(result), .s_valid(s0_tvalid && is_last), .s_ready(result_ready),
        .m_data(m_tdata), .m_valid(m_tvalid), .m_ready(m_tready)
    );
endmodule
