// Two places for beats of a stream. Both sides come from registers: no path leads from m_ready to s_ready, nor from
// s_valid to m_valid. One beat per cycle; a beat that goes in is there to be taken in the next cycle.
module finnyaml_skid #(
    parameter int unsigned WIDTH = 8
) (
    input  logic             clk,
    input  logic             rst_n,
    input  logic [WIDTH-1:0] s_data,
    input  logic             s_valid,
    output logic             s_ready,
    output logic [WIDTH-1:0] m_data,
    output logic             m_valid,
    input  logic             m_ready
);
    logic [WIDTH-1:0] front, behind;
    logic             front_full, behind_full;

    assign s_ready = !behind_full;
    assign m_data  = front;
    assign m_valid = front_full;

    always_ff @(posedge clk) begin
        if (m_ready || !front_full) front <= behind_full ? behind : s_data;
        if (!behind_full) behind <= s_data;

        if (!rst_n) begin
            front_full  <= 1'b0;
            behind_full <= 1'b0;
        end else if (m_ready || !front_full) begin
            front_full  <= behind_full || s_valid;
            behind_full <= 1'b0;
        end else if (s_valid) begin
            behind_full <= 1'b1;
        end
    end
endmodule
