namespace Kcore.Simulation.Engine;

/// <summary>A run did what must never happen, or did not do in time what must.</summary>
public sealed class InvariantViolationException(string message) : Exception(message);
