"""Components of the engine `zookeeper`."""
