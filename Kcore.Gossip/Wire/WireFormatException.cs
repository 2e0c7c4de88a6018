namespace Kcore.Gossip.Wire;

/// <summary>Bytes from outside do not follow the format or exceed a bound. The only exception the readers throw.</summary>
public sealed class WireFormatException(string message) : Exception(message);
