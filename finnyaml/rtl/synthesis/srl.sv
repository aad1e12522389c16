// A shift register that is read at any of its places, from the primitives that Vivado infers for it and Yosys does not.
// q is what was put in `a` pushes before the last one; the last one is at a = 0.

module finnyaml_srl #(
	int unsigned  WIDTH,
	int unsigned  DEPTH,
	localparam int unsigned  ADDRESS_BITS = DEPTH < 2? 1 : $clog2(DEPTH)
)(
	input	logic  clk,
	input	logic  push,
	input	logic [WIDTH-1:0]  d,
	input	logic [ADDRESS_BITS-1:0]  a,
	output	logic [WIDTH-1:0]  q
);
	localparam int unsigned  SEGMENTS = (DEPTH + 31) / 32;

	for(genvar  i = 0; i < WIDTH; i++) begin : genBit
		if(DEPTH <= 16) begin : genShort
			uwire [3:0]  at = a;
			SRL16E srl(.CLK(clk), .CE(push), .D(d[i]), .A0(at[0]), .A1(at[1]), .A2(at[2]), .A3(at[3]), .Q(q[i]));
		end
		else begin : genLong
			uwire [SEGMENTS:0]  chain;
			uwire [SEGMENTS-1:0]  tap;
			assign	chain[0] = d[i];
			for(genvar  s = 0; s < SEGMENTS; s++) begin : genSegment
				SRLC32E srl(.CLK(clk), .CE(push), .D(chain[s]), .A(a[4:0]), .Q(tap[s]), .Q31(chain[s+1]));
			end
			if(SEGMENTS == 1)  assign  q[i] = tap[0];
			else               assign  q[i] = tap[a[ADDRESS_BITS-1:5]];
		end
	end

endmodule : finnyaml_srl
