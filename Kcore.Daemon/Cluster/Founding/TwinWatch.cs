using System.Net;
using System.Threading.Channels;
using Kcore.Daemon.Storage.Events;
using Kcore.Gossip;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Founding;

/// <summary>All that runs has to start again: as another node, or as this one with a later boot counter.</summary>
internal sealed class StartAgainException(string message) : Exception(message);

/// <summary>
/// Two daemons with one uid: a disk was copied, with its machine id. Both prove the uid over TLS and each says which start it
/// is, so there is no doubt and no waiting: one becomes a new node and joins again, the other keeps everything. Nothing is
/// shut down. Who has the name the identity came with keeps it, for the cluster has it down under that name; between two
/// of one name it is the one with the smaller boot nonce, which most often is not the copy.
/// </summary>
internal sealed partial class TwinWatch(NodeIdentity identity, string name, EventLog events, ILogger logger)
{
    private readonly Channel<(NodeId Node, IPEndPoint Other)> _suspects = Channel.CreateBounded<(NodeId, IPEndPoint)>(
        new BoundedChannelOptions(64) { FullMode = BoundedChannelFullMode.DropOldest });

    private ulong _told;
    private bool _yields;
    private bool _isOvertaken;
    private bool _isSilenced;

    /// <summary>
    /// Where gossip has heard of a second start of a node, this one or another: hearsay, to be looked into. The two of
    /// them can't hear each other by gossip, being one and the same to everybody.
    /// </summary>
    public ChannelReader<(NodeId Node, IPEndPoint Other)> Suspects => _suspects.Reader;

    public void Suspect(NodeId node, IPEndPoint other) => _suspects.Writer.TryWrite((node, other));

    /// <summary>This node has met its twin and is the one to change.</summary>
    public bool Yields => Volatile.Read(ref _yields);

    /// <summary>
    /// This node keeps its identity, but the twin's start counts as the later one: until this node starts again, the others
    /// take all it sends for recordings of an earlier start.
    /// </summary>
    public bool IsOvertaken => Volatile.Read(ref _isOvertaken);

    /// <summary>
    /// Gossip has given way to the twin, by the boot nonce alone, and says nothing more of this node until it starts again. It
    /// has met the twin when <see cref="HasMet"/>; who of the two is to change is then decided, and if it is not this one
    /// it starts again.
    /// </summary>
    public bool IsSilenced => Volatile.Read(ref _isSilenced);

    /// <summary>The twin was met: who changes is decided.</summary>
    public bool HasMet => Volatile.Read(ref _told) != 0;

    public void Silenced() => Volatile.Write(ref _isSilenced, true);

    /// <summary>Somebody proved this node's uid on a stream and said which start he is; it may be this very process.</summary>
    public void Met(IPEndPoint endpoint, string otherName, ulong bootNonce)
    {
        if (bootNonce == 0 || bootNonce == identity.BootNonce || Interlocked.Exchange(ref _told, bootNonce) == bootNonce)
        {
            return;
        }

        bool isOurs = identity.FirstName == name, isTheirs = identity.FirstName == otherName;
        bool yields = isOurs == isTheirs ? identity.BootNonce > bootNonce : isTheirs;
        Log.Twin(logger, endpoint, yields ? "this one becomes a new node" : "that one becomes a new node");
        events.Add(
            "Conflict",
            $"another node runs with this node's identity at {endpoint}, a copied disk: {(yields ? "this one becomes a new node and joins again" : "that one becomes a new node")}",
            identity.Id.ToString());
        if (yields)
        {
            Volatile.Write(ref _yields, true);
        }
        else if (bootNonce > identity.BootNonce)
        {
            Volatile.Write(ref _isOvertaken, true);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1190, LogLevel.Error, "Another node runs with this node's identity at {Endpoint}, one of the two disks is a copy: {Verdict}")]
        public static partial void Twin(ILogger logger, IPEndPoint endpoint, string verdict);
    }
}
