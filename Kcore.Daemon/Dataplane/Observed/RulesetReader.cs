using System.Collections.Immutable;
using System.Text;
using Kcore.Daemon.Dataplane.Apply;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Netlink;
using Kcore.Netlink.Nftables;

namespace Kcore.Daemon.Dataplane.Observed;

/// <summary>
/// What is in nftables, ours and others'. Reading it starts processes, so the kernel is asked first for the number of its ruleset,
/// which every committed transaction raises: what was read at a number is what is there as long as the number is that. The
/// number is taken before the reading, so whatever is committed meanwhile makes the next look read again. Where the kernel does not
/// tell it, every look reads.
/// </summary>
/// <remarks>
/// <c>nf_tables_commit</c> (net/netfilter/nf_tables_api.c) raises the number (<c>base_seq</c>) a few instructions before what it
/// committed shows (<c>gencursor</c>), and whoever asks for the number waits for neither. Who reads just between the two has the old
/// under the new number: so a notification, which comes after both, is a reason for doubt.
/// </remarks>
internal sealed class RulesetReader(HomeNamespace home, INftables nft) : IDisposable
{
    private static readonly ImmutableArray<NftSkeleton.SetDefinition> _counting = [.. NftSkeleton.Sets.Where(s => s.Counts)];

    private NftablesSocket? _socket;
    private (uint Number, NftTables? Tables)? _own;
    private (uint Number, ForeignRuleset Rules)? _foreign;

    /// <summary>Our tables as they are, with what they have counted by now; null when there is none.</summary>
    /// <exception cref="DataplaneException">They cannot be read.</exception>
    public async Task<NftTables?> ReadAsync(CancellationToken cancellationToken)
    {
        uint? number = Number();
        if (_own is { } known && known.Number == number && Counted(known.Tables) is (true, var counted))
        {
            return counted;
        }

        NftTables? tables = await nft.ReadAsync(cancellationToken);
        _own = number is { } at ? (at, tables) : null;
        return tables;
    }

    /// <summary>Somebody is known to have changed something: the next look reads, whatever the number is.</summary>
    public void Doubt() => (_own, _foreign) = (null, null);

    /// <summary>Everybody's chains and rules, without the elements of sets.</summary>
    /// <exception cref="DataplaneException">They cannot be read.</exception>
    public async Task<ForeignRuleset> ReadForeignAsync(CancellationToken cancellationToken)
    {
        uint? number = Number();
        if (_foreign is { } known && known.Number == number)
        {
            return known.Rules;
        }

        ForeignRuleset rules = await nft.ReadForeignAsync(cancellationToken);
        _foreign = number is { } at ? (at, rules) : null;
        return rules;
    }

    /// <summary>Puts our tables in place of what they were, in one transaction; null removes them.</summary>
    /// <param name="before">The tables that are replaced, whose counts go on.</param>
    /// <exception cref="DataplaneException">It was refused; then nothing was changed.</exception>
    public async Task ReplaceAsync(NftTables? tables, NftTables? before, CancellationToken cancellationToken)
    {
        uint? number = Number();
        if (_own is { } known && known.Number == number && Counted(before) is (true, var counted))
        {
            before = counted;
        }

        await nft.ReplaceAsync(tables, before, cancellationToken);

        // One more means that nobody but us committed anything: others have what they had.
        if (number is { } at && _foreign is { } foreign && foreign.Number == at && Number() == at + 1)
        {
            _foreign = (at + 1, foreign.Rules);
        }
    }

    /// <summary>Names of tables in the older iptables, which nft does not see; empty when there are none.</summary>
    public string ReadLegacyTables() => home.Run(() =>
    {
        try
        {
            return string.Join(' ', File.ReadAllText("/proc/thread-self/net/ip_tables_names").Split('\n', StringSplitOptions.RemoveEmptyEntries));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    });

    public void Dispose() => _socket?.Dispose();

    private uint? Number()
    {
        try
        {
            _socket ??= home.Run(NftablesSocket.Open);
            return _socket.ReadGeneration();
        }
        catch (NetlinkException)
        {
            // A socket that failed may hold half an answer.
            Forget();
            return null;
        }
    }

    /// <summary>The same tables with fresh counts; false when they cannot be had, as when a set is gone by now.</summary>
    private (bool Read, NftTables? Tables) Counted(NftTables? tables)
    {
        if (tables is null)
        {
            return (true, null);
        }

        try
        {
            ImmutableDictionary<(string Set, string Element), FrameCount>.Builder counts = ImmutableDictionary.CreateBuilder<(string Set, string Element), FrameCount>();
            foreach (NftSkeleton.SetDefinition set in _counting.Where(s => tables.Elements.TryGetValue(s.Key, out ImmutableSortedSet<string>? elements) && !elements.IsEmpty))
            {
                foreach (ElementCount count in _socket!.DumpCounts(NftSkeleton.Protocol(set.Family), NftSkeleton.TableName, set.Name))
                {
                    ReadOnlySpan<byte> name = count.Key.Span;
                    int end = name.IndexOf((byte)0);
                    counts[(set.Key, Encoding.UTF8.GetString(end < 0 ? name : name[..end]))] = new FrameCount(count.Packets, count.Bytes);
                }
            }

            return (true, tables with { Counts = counts.ToImmutable() });
        }
        catch (NetlinkException)
        {
            Forget();
            return (false, null);
        }
    }

    private void Forget()
    {
        _socket?.Dispose();
        _socket = null;
    }
}
