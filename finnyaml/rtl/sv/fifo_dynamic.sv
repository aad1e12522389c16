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
	data_t  Store[$];
	int  Stored = 0;  // items in Store
	assign	irdy = Stored < slots;

	data_t  Stage = 0;
	bit  StageValid = 0;

	data_t  Flying[$];  // ultra: items in the pipeline and the cycles in which they leave it
	int  Due[$];
	int  Now = 0;
	data_t  Queue[$];
	int  Credit = QUEUE + 1;  // room in Queue and the output register

	data_t  Out = 0;
	bit  OutValid = 0;
	assign	odat = Out;
	assign	ovld = OutValid;

	always_ff @(posedge clk) begin
		if(rst) begin
			Store = {};
			Flying = {};
			Due = {};
			Queue = {};
			Stored <= 0;
			StageValid <= 0;
			Credit <= QUEUE + 1;
			OutValid <= 0;
		end
		else begin
			automatic bit  load = !OutValid || ordy;
			automatic bit  take = ivld && irdy;
			automatic bit  drain = Stored != 0;
			case(path)
			DIRECT: begin
				drain &= load;
				if(load)  OutValid <= drain;
				if(drain)  Out <= Store.pop_front();
			end
			BLOCK: begin
				drain &= load;
				if(load) begin
					OutValid <= StageValid;
					Out <= Stage;
					StageValid <= drain;
				end
				if(drain)  Stage <= Store.pop_front();
			end
			default: begin
				drain &= Credit != 0;
				if(load) begin
					OutValid <= Queue.size() != 0;
					if(Queue.size() != 0)  Out <= Queue.pop_front();
				end
				if(Due.size() != 0 && Due[0] == Now) begin
					void'(Due.pop_front());
					Queue.push_back(Flying.pop_front());
				end
				if(drain) begin
					Flying.push_back(Store.pop_front());
					Due.push_back(Now + delay);
				end
				Credit <= Credit + int'(OutValid && ordy) - int'(drain);
			end
			endcase
			Now <= Now + 1;
			if(take)  Store.push_back(idat);
			Stored <= Stored + int'(take) - int'(drain);
		end
	end
endmodule : fifo
