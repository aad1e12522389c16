// A stream as it is. finnyaml_skid, which comes with finnyaml, holds up to two beats.
module finnyaml_example_pass #(
    parameter int unsigned WIDTH = 8
) (
    input  logic             ap_clk,
    input  logic             ap_rst_n,
    input  logic [WIDTH-1:0] s0_tdata,
    input  logic             s0_tvalid,
    output logic             s0_tready,
    output logic [WIDTH-1:0] m_tdata,
    output logic             m_tvalid,
    input  logic             m_tready
);
    finnyaml_skid #(.WIDTH(WIDTH)) places (
        .clk(ap_clk), .rst_n(ap_rst_n),
        .s_data(s0_tdata), .s_valid(s0_tvalid), .s_ready(s0_tready),
        .m_data(m_tdata), .m_valid(m_tvalid), .m_ready(m_tready)
    );
endmodule
