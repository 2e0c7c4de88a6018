namespace Kcore.Daemon.Dataplane;

/// <summary>The kernel could not be read or changed; the message says what and why, for people.</summary>
internal sealed class DataplaneException : Exception
{
    public DataplaneException(string message)
        : base(message)
    {
    }

    public DataplaneException(string message, Exception cause)
        : base(message, cause)
    {
    }
}
