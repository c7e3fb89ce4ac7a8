"""Components of the engine `etcd`."""
