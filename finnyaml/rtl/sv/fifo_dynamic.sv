// Stands in for FINN's fifo.sv in simulations that look for FIFO depths: the depth comes from the test bench at run
// time, so that thousands of depths need one compilation.
//
// Cycle for cycle what fifo.sv of finn-plus 1.6.1 does, for every backing it may choose: capacity, latency and
// handshake follow from the depth by its rules, also where it holds more than was asked for. That is checked side by
// side in tests/rtl/test_sizing.py. A depth of 2^30 or more stands for FINN's fifo_gauge.sv: without bounds, and always
// ready.
//
// An item waits in a store of `slots`, then goes through the registers of the read path:
//   shift, distributed:  store -> output register
//   block:               store -> stage register -> output register, which move together
//   ultra:               store -> pipeline of fixed delay -> queue of 16 -> output register
//
// With FINNYAML_NO_DATA only the counts of items are kept: odat is zero, and everything else the same.

`ifdef FINNYAML_NO_DATA
`define FINNYAML_DATA(does)
`else
`define FINNYAML_DATA(does) does
`endif

package fifo_dynamic_pkg;
	bit  look = 0;  // In this cycle all FIFOs tell what they hold, and what they have held since the last time.
endpackage : fifo_dynamic_pkg

module fifo #(
	int unsigned  DEPTH,
	int unsigned  DATA_WIDTH,
	parameter  RAM_STYLE = "auto"
)(
	input	logic  clk,
	input	logic  rst,

	input	logic [DATA_WIDTH-1:0]  idat,
	input	logic  ivld,
	output	logic  irdy,

	output	logic [DATA_WIDTH-1:0]  odat,
	output	logic  ovld,
	input	logic  ordy,

	output	logic [31:0]  count,
	output	logic [31:0]  maxcount
);
	import "DPI-C" function int finnyaml_fifo_depth(input string path, input int depth);
	import "DPI-C" function void finnyaml_fifo_level(input string path, input int now, input int least, input int most);

	localparam int  UNBOUNDED = 1 << 30;
	localparam int  QUEUE = 16;  // of the ultra path

	typedef logic [DATA_WIDTH-1:0]  data_t;
	typedef enum { DIRECT, BLOCK, ULTRA } path_t;

	path_t  path;
	int  slots;  // that irdy looks at
	int  delay;  // of the ultra path's pipeline

	function automatic int memory(input int wanted, input int smallest);
		// What fifo.sv makes of a memory for `wanted` items: a power of two, or two of them.
		automatic int  low = $clog2(wanted);
		automatic int  high;
		if(low <= smallest)  return 1 << low;
		high = $clog2(wanted - (1 << (low-1)));
		if(high >= low - 1)  return 1 << low;
		return (1 << (low-1)) + (1 << (high < 1? 1 : high));
	endfunction : memory

	initial begin
		automatic int  depth = finnyaml_fifo_depth($sformatf("%m"), DEPTH);
		automatic bit  block = RAM_STYLE == "block";
		automatic bit  ultra = RAM_STYLE == "ultra";
		if(RAM_STYLE == "auto") begin
			block = depth > 257 && depth <= 2028 && DATA_WIDTH >= 5;
			ultra = depth > 2028 && DATA_WIDTH >= 5;
		end
		path  = DIRECT;
		slots = depth > 4? depth - 1 : 4;
		if(depth >= UNBOUNDED)  slots = 32'h7FFFFFFF;
		else if(depth > 33 && block) begin
			path  = BLOCK;
			slots = memory(depth - 1, 9);
		end
		else if(depth > 33 && ultra) begin
			automatic int  first;
			path  = ULTRA;
			slots = memory(depth - QUEUE - 1, 12);
			first = 1 << ($clog2(slots + 1) - 1);  // the larger of its powers of two
			delay = 3 + (first - 1) / 8192;
		end
	end

	//- Occupancy -----------------------------------------------------------
	int unsigned  Count = 0;
	int unsigned  MaxCount = 0;
	int unsigned  Least = 0, Most = 0;  // since the last look
	wire [31:0]  count_next = Count + 32'(ivld && irdy) - 32'(ovld && ordy);
	always_ff @(posedge clk) begin
		if(rst) begin
			Count    <= 0;
			MaxCount <= 0;
		end
		else begin
			Count <= count_next;
			if(count_next > MaxCount)  MaxCount <= count_next;
			if(count_next < Least)  Least <= count_next;
			if(count_next > Most)  Most <= count_next;
			if(fifo_dynamic_pkg::look) begin
				finnyaml_fifo_level($sformatf("%m"), Count, Least, Most);
				Least <= count_next;
				Most  <= count_next;
			end
		end
	end
	assign	count    = Count;
	assign	maxcount = MaxCount;

	//- Store and Read Path -------------------------------------------------
	int  Stored = 0;  // items in the store
	assign	irdy = Stored < slots;

	bit  StageValid = 0;

	int  Due[$];  // ultra: the cycles in which items leave the pipeline
	int  Now = 0;
	int  Queued = 0;  // items in the queue
	int  Credit = QUEUE + 1;  // room in the queue and the output register

	bit  OutValid = 0;
	assign	ovld = OutValid;

`ifdef FINNYAML_NO_DATA
	assign	odat = '0;
`else
	data_t  Store[$];
	data_t  Stage = 0;
	data_t  Flying[$];  // ultra: items in the pipeline
	data_t  Queue[$];
	data_t  Out = 0;
	assign	odat = Out;
`endif

	always_ff @(posedge clk) begin
		if(rst) begin
			Due = {};
			Queued = 0;
			Stored <= 0;
			StageValid <= 0;
			Credit <= QUEUE + 1;
			OutValid <= 0;
			`FINNYAML_DATA(Store = {}; Flying = {}; Queue = {};)
		end
		else begin
			automatic bit  load = !OutValid || ordy;
			automatic bit  take = ivld && irdy;
			automatic bit  drain = Stored != 0;
			case(path)
			DIRECT: begin
				drain &= load;
				if(load)  OutValid <= drain;
				`FINNYAML_DATA(if(drain)  Out <= Store.pop_front();)
			end
			BLOCK: begin
				drain &= load;
				if(load) begin
					OutValid <= StageValid;
					StageValid <= drain;
					`FINNYAML_DATA(Out <= Stage;)
				end
				`FINNYAML_DATA(if(drain)  Stage <= Store.pop_front();)
			end
			default: begin
				drain &= Credit != 0;
				if(load) begin
					OutValid <= Queued != 0;
					if(Queued != 0) begin
						Queued = Queued - 1;
						`FINNYAML_DATA(Out <= Queue.pop_front();)
					end
				end
				if(Due.size() != 0 && Due[0] == Now) begin
					void'(Due.pop_front());
					Queued = Queued + 1;
					`FINNYAML_DATA(Queue.push_back(Flying.pop_front());)
				end
				if(drain) begin
					Due.push_back(Now + delay);
					`FINNYAML_DATA(Flying.push_back(Store.pop_front());)
				end
				Credit <= Credit + int'(OutValid && ordy) - int'(drain);
			end
			endcase
			Now <= Now + 1;
			Stored <= Stored + int'(take) - int'(drain);
			`FINNYAML_DATA(if(take)  Store.push_back(idat);)
		end
	end
endmodule : fifo
