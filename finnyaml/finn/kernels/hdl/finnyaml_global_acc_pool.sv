// Sums over all PIXELS of a frame, per channel. A pixel is FOLDS beats of PE channels; FOLDS beats of sums come out,
// while the beats of the last pixel go in.
module finnyaml_global_acc_pool #(
    parameter int unsigned PE = 1,
    parameter int unsigned FOLDS = 1,
    parameter int unsigned PIXELS = 4,
    parameter int unsigned IN_BITS = 4,
    parameter int unsigned OUT_BITS = 6,
    parameter bit          SIGNED = 0
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
    localparam int unsigned FOLD_BITS = FOLDS > 1 ? $clog2(FOLDS) : 1;
    localparam int unsigned PIXEL_BITS = PIXELS > 1 ? $clog2(PIXELS) : 1;

    (* ram_style = "distributed" *)
    logic [PE*OUT_BITS-1:0] sums[FOLDS];
    logic [PE*OUT_BITS-1:0] earlier, after;
    logic [FOLD_BITS-1:0]   fold;
    logic [PIXEL_BITS-1:0]  pixel;
    logic                   is_first, is_last, is_last_fold, take, result_ready;

    assign is_first     = pixel == '0;
    assign is_last      = pixel == PIXEL_BITS'(PIXELS - 1);
    assign is_last_fold = fold == FOLD_BITS'(FOLDS - 1);
    assign s0_tready    = result_ready || !is_last;
    assign take         = s0_tvalid && s0_tready;
    assign earlier       = sums[fold];

    for (genvar lane = 0; lane < PE; lane++) begin : lanes
        logic [OUT_BITS-1:0] x, start;
        if (SIGNED) begin : signed_values
            assign x = OUT_BITS'($signed(s0_tdata[lane*IN_BITS+:IN_BITS]));
        end else begin : unsigned_values
            assign x = OUT_BITS'(s0_tdata[lane*IN_BITS+:IN_BITS]);
        end
        assign start = is_first ? '0 : earlier[lane*OUT_BITS+:OUT_BITS];
        assign after[lane*OUT_BITS+:OUT_BITS] = start + x;
    end

    always_ff @(posedge ap_clk) begin
        if (take) sums[fold] <= after;
        if (!ap_rst_n) begin
            fold  <= '0;
            pixel <= '0;
        end else if (take) begin
            fold <= is_last_fold ? '0 : fold + 1'b1;
            if (is_last_fold) pixel <= is_last ? '0 : pixel + 1'b1;
        end
    end

    finnyaml_skid #(.WIDTH(PE * OUT_BITS)) out (
        .clk(ap_clk), .rst_n(ap_rst_n),
        .s_data(after), .s_valid(s0_tvalid && is_last), .s_ready(result_ready),
        .m_data(m_tdata), .m_valid(m_tvalid), .m_ready(m_tready)
    );
endmodule
