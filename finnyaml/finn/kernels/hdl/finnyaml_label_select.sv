// The indices of the TOP largest of LABELS values, the largest first; of equal values the lower index comes first.
// PE values go in per beat, one index comes out per beat.
//
// A chain of TOP stages. Each keeps the best that it has seen in this frame and hands on the rest, one cycle later;
// so stage k ends its frame k cycles after stage 0, and the results leave one by one. Values are compared together
// with their inverted index, above a one: no two are equal, and nothing is smaller than "none yet" (all zeros).
module finnyaml_label_select #(
    parameter int unsigned LABELS = 10,
    parameter int unsigned PE = 1,
    parameter int unsigned TOP = 1,
    parameter int unsigned IN_BITS = 8,
    parameter int unsigned OUT_BITS = 8,
    parameter bit          SIGNED = 0
) (
    input  logic                  ap_clk,
    input  logic                  ap_rst_n,
    input  logic [PE*IN_BITS-1:0] s0_tdata,
    input  logic                  s0_tvalid,
    output logic                  s0_tready,
    output logic [OUT_BITS-1:0]   m_tdata,
    output logic                  m_tvalid,
    input  logic                  m_tready
);
    localparam int unsigned FOLDS = LABELS / PE;
    localparam int unsigned INDEX_BITS = LABELS > 1 ? $clog2(LABELS) : 1;
    localparam int unsigned FOLD_BITS = FOLDS > 1 ? $clog2(FOLDS) : 1;
    localparam int unsigned KEY_BITS = 1 + IN_BITS + INDEX_BITS;
    localparam int unsigned GAP_BITS = $clog2(TOP + 1);
    localparam int unsigned LEVELS = PE > 1 ? $clog2(PE) : 0;
    localparam int unsigned LEAVES = 1 << LEVELS;
    localparam logic [IN_BITS-1:0] BIAS = SIGNED ? {1'b1, {(IN_BITS - 1) {1'b0}}} : '0;

    logic [FOLD_BITS-1:0]  fold;
    logic [INDEX_BITS-1:0] base;
    logic [GAP_BITS-1:0]   gap;
    logic                  is_last, advance, take;

    // the ends of two frames are TOP cycles apart, else two stages would end at once
    assign is_last   = fold == FOLD_BITS'(FOLDS - 1);
    assign s0_tready = advance && !(is_last && gap != '0);
    assign take      = s0_tvalid && s0_tready;

    always_ff @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            fold <= '0;
            base <= '0;
            gap  <= '0;
        end else if (advance) begin
            if (take) begin
                fold <= is_last ? '0 : fold + 1'b1;
                base <= is_last ? '0 : base + INDEX_BITS'(PE);
            end
            if (take && is_last) gap <= GAP_BITS'(TOP - 1);
            else if (gap != '0) gap <= gap - 1'b1;
        end
    end

    logic [PE*KEY_BITS-1:0]  keys[TOP+1];
    logic [TOP:0]            valid, ends;
    logic [INDEX_BITS-1:0]   index[TOP];
    logic [TOP-1:0]          found;

    always_ff @(posedge ap_clk) begin
        if (advance) begin
            for (int lane = 0; lane < PE; lane++) begin
                keys[0][lane*KEY_BITS+:KEY_BITS] <=
                    {1'b1, s0_tdata[lane*IN_BITS+:IN_BITS] ^ BIAS, ~(base + INDEX_BITS'(lane))};
            end
            ends[0] <= is_last;
        end
        if (!ap_rst_n) valid[0] <= 1'b0;
        else if (advance) valid[0] <= take;
    end

    for (genvar stage = 0; stage < TOP; stage++) begin : stages
        // a tree of comparisons: node n has the children 2n+1 and 2n+2, the leaves are the lanes
        logic [KEY_BITS-1:0] best[2*LEAVES-1];
        logic [LEAVES-1:0]   lane_wins;
        logic [KEY_BITS-1:0] held, winner;
        logic                is_better;

        for (genvar leaf = 0; leaf < LEAVES; leaf++) begin : leaves
            if (leaf < PE) begin : lane
                assign best[LEAVES-1+leaf] = keys[stage][leaf*KEY_BITS+:KEY_BITS];
            end else begin : none
                assign best[LEAVES-1+leaf] = '0;
            end
            assign lane_wins[leaf] = is_better && best[LEAVES-1+leaf] == best[0];
        end
        for (genvar n = 0; n < LEAVES - 1; n++) begin : nodes
            assign best[n] = best[2*n+1] > best[2*n+2] ? best[2*n+1] : best[2*n+2];
        end

        assign is_better    = best[0] > held;
        assign winner       = is_better ? best[0] : held;
        assign index[stage] = ~winner[INDEX_BITS-1:0];
        assign found[stage] = valid[stage] && ends[stage];

        always_ff @(posedge ap_clk) begin
            if (advance) begin
                for (int lane = 0; lane < PE; lane++) begin
                    keys[stage+1][lane*KEY_BITS+:KEY_BITS] <=
                        lane_wins[lane] ? held : keys[stage][lane*KEY_BITS+:KEY_BITS];
                end
                ends[stage+1] <= ends[stage];
            end
            if (!ap_rst_n) begin
                valid[stage+1] <= 1'b0;
                held           <= '0;
            end else if (advance) begin
                valid[stage+1] <= valid[stage];
                if (valid[stage]) held <= ends[stage] ? '0 : winner;
            end
        end
    end

    logic [OUT_BITS-1:0] label;
    always_comb begin
        label = '0;
        for (int stage = 0; stage < TOP; stage++) if (found[stage]) label = label | OUT_BITS'(index[stage]);
    end

    finnyaml_skid #(.WIDTH(OUT_BITS)) out (
        .clk(ap_clk), .rst_n(ap_rst_n),
        .s_data(label), .s_valid(|found), .s_ready(advance),
        .m_data(m_tdata), .m_valid(m_tvalid), .m_ready(m_tready)
    );
endmodule
