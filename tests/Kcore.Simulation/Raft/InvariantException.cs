namespace Kcore.Simulation.Raft;

/// <summary>Something that must always hold does not; the message names it.</summary>
public sealed class InvariantException(string message) : Exception(message);
