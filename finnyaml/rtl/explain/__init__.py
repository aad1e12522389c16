"""Names what is wrong with a simulated design: the layer, the channel, the weight, the FIFO. Runs in workers."""
