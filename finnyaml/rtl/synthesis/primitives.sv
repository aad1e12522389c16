// The primitives that FINN's sources and finnyaml_srl instantiate, for a front end that only has to know their ports
// and parameters. They stay black boxes until Yosys' own cell library describes them.

module SRL16E #(parameter [15:0] INIT = 0)(
	input CLK, CE, D, A0, A1, A2, A3, output Q
);
endmodule

module SRLC32E #(parameter [31:0] INIT = 0)(
	input CLK, CE, D, input [4:0] A, output Q, Q31
);
endmodule

module LUT6_2 #(parameter [63:0] INIT = 0)(
	input I0, I1, I2, I3, I4, I5, output O5, O6
);
endmodule

module DSP48E1 #(
	parameter A_INPUT = "", B_INPUT = "", USE_DPORT = "", USE_MULT = "", USE_SIMD = "",
	parameter AUTORESET_PATDET = "", SEL_MASK = "", SEL_PATTERN = "", USE_PATTERN_DETECT = "",
	parameter [47:0] MASK = 0, PATTERN = 0,
	parameter ACASCREG = 1, ADREG = 1, ALUMODEREG = 1, AREG = 1, BCASCREG = 1, BREG = 1, CARRYINREG = 1,
	parameter CARRYINSELREG = 1, CREG = 1, DREG = 1, INMODEREG = 1, MREG = 1, OPMODEREG = 1, PREG = 1
)(
	input CLK,
	input [29:0] A, ACIN, input [17:0] B, BCIN, input [47:0] C, PCIN, input [24:0] D,
	input CARRYIN, CARRYCASCIN, MULTSIGNIN,
	input [3:0] ALUMODE, input [2:0] CARRYINSEL, input [4:0] INMODE, input [6:0] OPMODE,
	input CEA1, CEA2, CEAD, CEALUMODE, CEB1, CEB2, CEC, CECARRYIN, CECTRL, CED, CEINMODE, CEM, CEP,
	input RSTA, RSTALLCARRYIN, RSTALUMODE, RSTB, RSTC, RSTCTRL, RSTD, RSTINMODE, RSTM, RSTP,
	output [47:0] P, PCOUT, output [29:0] ACOUT, output [17:0] BCOUT, output [3:0] CARRYOUT,
	output CARRYCASCOUT, MULTSIGNOUT, OVERFLOW, UNDERFLOW, PATTERNDETECT, PATTERNBDETECT
);
endmodule

module DSP48E2 #(
	parameter AMULTSEL = "", A_INPUT = "", BMULTSEL = "", B_INPUT = "", PREADDINSEL = "", USE_MULT = "", USE_SIMD = "",
	parameter USE_WIDEXOR = "", XORSIMD = "",
	parameter AUTORESET_PATDET = "", AUTORESET_PRIORITY = "", SEL_MASK = "", SEL_PATTERN = "", USE_PATTERN_DETECT = "",
	parameter [47:0] MASK = 0, PATTERN = 0, RND = 0,
	parameter [3:0] IS_ALUMODE_INVERTED = 0,
	parameter [4:0] IS_INMODE_INVERTED = 0,
	parameter [8:0] IS_OPMODE_INVERTED = 0,
	parameter [0:0] IS_CARRYIN_INVERTED = 0, IS_CLK_INVERTED = 0, IS_RSTALLCARRYIN_INVERTED = 0,
	parameter [0:0] IS_RSTALUMODE_INVERTED = 0, IS_RSTA_INVERTED = 0, IS_RSTB_INVERTED = 0, IS_RSTCTRL_INVERTED = 0,
	parameter [0:0] IS_RSTC_INVERTED = 0, IS_RSTD_INVERTED = 0, IS_RSTINMODE_INVERTED = 0, IS_RSTM_INVERTED = 0,
	parameter [0:0] IS_RSTP_INVERTED = 0,
	parameter ACASCREG = 1, ADREG = 1, ALUMODEREG = 1, AREG = 1, BCASCREG = 1, BREG = 1, CARRYINREG = 1,
	parameter CARRYINSELREG = 1, CREG = 1, DREG = 1, INMODEREG = 1, MREG = 1, OPMODEREG = 1, PREG = 1
)(
	input CLK,
	input [29:0] A, ACIN, input [17:0] B, BCIN, input [47:0] C, PCIN, input [26:0] D,
	input CARRYIN, CARRYCASCIN, MULTSIGNIN,
	input [3:0] ALUMODE, input [2:0] CARRYINSEL, input [4:0] INMODE, input [8:0] OPMODE,
	input CEA1, CEA2, CEAD, CEALUMODE, CEB1, CEB2, CEC, CECARRYIN, CECTRL, CED, CEINMODE, CEM, CEP,
	input RSTA, RSTALLCARRYIN, RSTALUMODE, RSTB, RSTC, RSTCTRL, RSTD, RSTINMODE, RSTM, RSTP,
	output [47:0] P, PCOUT, output [29:0] ACOUT, output [17:0] BCOUT, output [3:0] CARRYOUT, output [7:0] XOROUT,
	output CARRYCASCOUT, MULTSIGNOUT, OVERFLOW, UNDERFLOW, PATTERNDETECT, PATTERNBDETECT
);
endmodule
