using System.Collections.Immutable;
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

/// <summary>An address of a node's emergency reserve.</summary>
/// <param name="Address">The address.</param>
/// <param name="GrantIndex">The log index at which it was granted.</param>
public sealed record ParkedAddress(IPAddress Address, ulong GrantIndex);

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

    /// <summary>What a node has in reserve on a network and did not use.</summary>
    /// <param name="Holder">The record of uses that counts. If it is not the one that asked, nothing was granted.</param>
    /// <param name="Addresses">From the top of the subnet downwards.</param>
    public sealed record Parked(Guid Holder, ImmutableArray<ParkedAddress> Addresses) : ReplicatedResult
    {
        // An immutable array compares by reference; an answer is equal by content.
        public bool Equals(Parked? other) => other is not null && Holder == other.Holder && Addresses.SequenceEqual(other.Addresses);

        public override int GetHashCode() => HashCode.Combine(Holder, Addresses.Length);
    }

    /// <summary>Nothing changed.</summary>
    /// <param name="Code">The category.</param>
    /// <param name="Text">The cause in words, for people.</param>
    public sealed record Refused(RefusalCode Code, string Text) : ReplicatedResult;
}
