//! Random programs, in lockstep on both servers and the model.
