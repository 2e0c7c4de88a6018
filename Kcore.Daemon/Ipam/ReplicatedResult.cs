using System.Net;

namespace Kcore.Daemon.Ipam;

/// <summary>Why a command was refused; the names and meanings are those of the API's error codes.</summary>
public enum RefusalCode : byte
{
    InvalidArgument = 1,
    NotFound = 2,
    AlreadyExists = 3,
    FailedPrecondition = 4,
    ResourceExhausted = 5,

    /// <summary>The request came too late and was not carried out; it may be asked anew.</summary>
    Unavailable = 6,
}

/// <summary>The answer to one <see cref="ReplicatedCommand"/>. Encoded by <see cref="ResultCodec"/> for forwarding.</summary>
public abstract record ReplicatedResult
{
    private ReplicatedResult()
    {
    }

    /// <summary>It holds now; it may have held before.</summary>
    public sealed record Done : ReplicatedResult
    {
        public static readonly Done Instance = new();
    }

    /// <summary>The attachment holds this address.</summary>
    public sealed record Granted(IPAddress Address, int PrefixLength, IPAddress Gateway) : ReplicatedResult;

    /// <summary>The hash of the whole state as it was at a log index.</summary>
    public sealed record Hashed(ulong Index, UInt128 Hash) : ReplicatedResult;

    /// <summary>Nothing changed.</summary>
    /// <param name="Code">The category.</param>
    /// <param name="Text">The cause in words, for people.</param>
    public sealed record Refused(RefusalCode Code, string Text) : ReplicatedResult;
}
