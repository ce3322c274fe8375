"""The network between server and clients, and what is seen of it: packets captured."""
