// One shape of FINN's matrix unit, twice: unit 0 is FINN's source as it is, unit 1 the one that finnyaml makes of it.
// Activations and weights are hashes of their place, so every result is known.
module matrix_case #(
	bit IS_MVU, int unsigned VERSION, int unsigned MW, int unsigned MH, int unsigned PE, int unsigned SIMD,
	int unsigned SEGMENTLEN, int unsigned ACTIVATION_WIDTH, int unsigned WEIGHT_WIDTH, bit SIGNED_ACTIVATIONS,
	bit NARROW_WEIGHTS
)(input logic clk, input logic rst_n, input logic [6:0] stall_in, input logic [6:0] stall_out,
	output logic [31:0] given [2], output logic [31:0] wrong [2]);
	localparam int unsigned  SF = MW/SIMD, NF = MH/PE, LANES = (IS_MVU? 1 : PE)*SIMD;
	localparam int unsigned  ACCU_WIDTH = WEIGHT_WIDTH + ACTIVATION_WIDTH + $clog2(MW+1);
	localparam int unsigned  IN_BEATS = IS_MVU? SF : SF*NF;

	function automatic int unsigned mix(input int unsigned a, input int unsigned b);
		/* verilator no_inline_task */
		automatic int unsigned  h = a * 32'h9E3779B1 ^ (b * 32'h85EBCA77 + 32'h27D4EB2F);
		h = (h ^ (h >> 15)) * 32'h2C1B3C6D;
		return  h ^ (h >> 13);
	endfunction : mix
	// Every fourth vector holds nothing but the largest or the smallest value.
	function automatic logic [ACTIVATION_WIDTH-1:0] act(
		input int unsigned v, input int unsigned c, input int unsigned i
	);
		/* verilator no_inline_task */
		automatic logic [ACTIVATION_WIDTH-1:0]  least = SIGNED_ACTIVATIONS? 1 << (ACTIVATION_WIDTH-1) : 0;
		return  v % 4 == 3? (mix(v, 7)[0]? least : ~least) : ACTIVATION_WIDTH'(mix(v*31 + c, i));
	endfunction : act
	function automatic logic signed [WEIGHT_WIDTH-1:0] weight(input int unsigned o, input int unsigned i);
		/* verilator no_inline_task */
		automatic logic signed [WEIGHT_WIDTH-1:0]  least = {1'b1, {(WEIGHT_WIDTH-1){1'b0}}};
		automatic logic signed [WEIGHT_WIDTH-1:0]  w = mix(o, 5)[1:0] == 0? least : WEIGHT_WIDTH'(mix(o + 1000, i));
		return  NARROW_WEIGHTS && w == least? ~w : w;
	endfunction : weight
	function automatic logic [ACCU_WIDTH-1:0] result(input int unsigned v, input int unsigned o);
		/* verilator no_inline_task */
		automatic longint  sum = 0;
		/* verilator unroll_disable */
		for(int unsigned  i = 0; i < MW; i++) begin
			automatic logic [ACTIVATION_WIDTH-1:0]  a = act(v, IS_MVU? 0 : o, i);
			automatic longint  value = SIGNED_ACTIVATIONS? longint'($signed(a)) : longint'(a);
			sum += value * longint'(weight(o, i));
		end
		return  ACCU_WIDTH'(sum);
	endfunction : result

	for(genvar  unit = 0; unit < 2; unit++) begin : units
		int unsigned  taken = 0, weighed = 0, results = 0, errors = 0;
		logic  ivld = 0, ordy = 0;
		uwire  irdy, wrdy, ovld;
		logic [(LANES*ACTIVATION_WIDTH+7)/8*8-1:0]  idat;
		logic [(PE*SIMD*WEIGHT_WIDTH+7)/8*8-1:0]  wdat;
		uwire [(PE*ACCU_WIDTH+7)/8*8-1:0]  odat;
		always_comb begin
			automatic int unsigned  v = taken / IN_BEATS, beat = taken % IN_BEATS;
			idat = 0;
			/* verilator unroll_disable */
			for(int unsigned  l = 0; l < LANES; l++) begin
				automatic int unsigned  c = IS_MVU? 0 : beat/SF*PE + l % PE;
				automatic int unsigned  i = beat % SF * SIMD + (IS_MVU? l : l / PE);
				idat[l*ACTIVATION_WIDTH +: ACTIVATION_WIDTH] = act(v, c, i);
			end
			wdat = 0;
			/* verilator unroll_disable */
			for(int unsigned  l = 0; l < PE*SIMD; l++)
				wdat[l*WEIGHT_WIDTH +: WEIGHT_WIDTH] = weight(weighed/SF % NF*PE + l/SIMD, weighed % SF*SIMD + l % SIMD);
		end
		always_ff @(posedge clk) begin
			ordy <= 7'($urandom % 100) >= stall_out;
			if(rst_n) begin
				if(!ivld || irdy)  ivld <= 7'($urandom % 100) >= stall_in;
				if(ivld && irdy)  taken <= taken + 1;
				if(wrdy)  weighed <= weighed + 1;
				if(ovld && ordy) begin
					results <= results + 1;
					/* verilator unroll_disable */
					for(int unsigned  pe = 0; pe < PE; pe++)
						if(odat[pe*ACCU_WIDTH +: ACCU_WIDTH] != result(results/NF, results % NF*PE + pe))  errors <= errors + 1;
				end
			end
		end
		assign  given[unit] = results;
		assign  wrong[unit] = errors;
		`define UNIT(NAME) NAME #(.IS_MVU(IS_MVU), .VERSION(VERSION), .MW(MW), .MH(MH), .PE(PE), .SIMD(SIMD), \
			.SEGMENTLEN(SEGMENTLEN), .ACTIVATION_WIDTH(ACTIVATION_WIDTH), .WEIGHT_WIDTH(WEIGHT_WIDTH), \
			.ACCU_WIDTH(ACCU_WIDTH), .NARROW_WEIGHTS(NARROW_WEIGHTS), .SIGNED_ACTIVATIONS(SIGNED_ACTIVATIONS)) unit ( \
			.ap_clk(clk), .ap_clk2x(clk), .ap_rst_n(rst_n), \
			.s_axis_weights_tdata(wdat), .s_axis_weights_tvalid(1'b1), .s_axis_weights_tready(wrdy), \
			.s_axis_input_tdata(idat), .s_axis_input_tvalid(ivld), .s_axis_input_tready(irdy), \
			.m_axis_output_tdata(odat), .m_axis_output_tvalid(ovld), .m_axis_output_tready(ordy))
		if(unit == 0) begin : theirs `UNIT(theirs); end
		else begin : ours `UNIT(ours); end
	end : units
endmodule : matrix_case
