"""What a graph is, for all who look at one: wires, layers, operators, surgery."""
