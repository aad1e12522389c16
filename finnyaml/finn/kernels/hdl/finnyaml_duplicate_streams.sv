// One stream in, the same stream out COUNT times. Each output takes a beat when it is ready, whatever the others do;
// the next beat follows when all have taken it.
module finnyaml_duplicate_streams #(
    parameter int unsigned WIDTH = 8,
    parameter int unsigned COUNT = 2
) (
    input  logic             ap_clk,
    input  logic             ap_rst_n,
    input  logic [WIDTH-1:0] s0_tdata,
    input  logic             s0_tvalid,
    output logic             s0_tready,
    output logic [WIDTH-1:0] m_tdata,
    output logic [COUNT-1:0] m_tvalid,
    input  logic [COUNT-1:0] m_tready
);
    logic [WIDTH-1:0] next;
    logic             next_valid, is_free;

    // all outputs of the present beat have taken it, or take it now
    assign is_free = &(~m_tvalid | m_tready);

    finnyaml_skid #(.WIDTH(WIDTH)) in (
        .clk(ap_clk), .rst_n(ap_rst_n),
        .s_data(s0_tdata), .s_valid(s0_tvalid), .s_ready(s0_tready),
        .m_data(next), .m_valid(next_valid), .m_ready(is_free)
    );

    always_ff @(posedge ap_clk) begin
        if (is_free) m_tdata <= next;
        if (!ap_rst_n) m_tvalid <= '0;
        else if (is_free) m_tvalid <= {COUNT{next_valid}};
        else m_tvalid <= m_tvalid & ~m_tready;
    end
endmodule
