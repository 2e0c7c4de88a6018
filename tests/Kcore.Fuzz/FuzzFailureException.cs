namespace Kcore.Fuzz;

/// <summary>An input that is not handled as it must be.</summary>
internal sealed class FuzzFailureException(string message, byte[] input) : Exception(message)
{
    public byte[] Input { get; } = input;
}
