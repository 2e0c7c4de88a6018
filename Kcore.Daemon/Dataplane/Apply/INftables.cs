using Kcore.Daemon.Dataplane.Observed;

namespace Kcore.Daemon.Dataplane.Apply;

/// <summary>Reading and replacing whole tables of nftables: each takes a process of its own.</summary>
internal interface INftables
{
    /// <summary>Our tables as they are; null when there is none.</summary>
    /// <exception cref="DataplaneException">They cannot be read.</exception>
    Task<NftTables?> ReadAsync(CancellationToken cancellationToken);

    /// <summary>Everybody's chains and rules, without the elements of sets.</summary>
    /// <exception cref="DataplaneException">They cannot be read, or there are more than can be looked through.</exception>
    Task<ForeignRuleset> ReadForeignAsync(CancellationToken cancellationToken);

    /// <summary>Puts our tables in place of what they were, in one transaction; null removes them.</summary>
    /// <param name="before">The tables that are replaced, whose counts go on.</param>
    /// <exception cref="DataplaneException">It was refused; then nothing was changed.</exception>
    Task ReplaceAsync(NftTables? tables, NftTables? before, CancellationToken cancellationToken);
}
