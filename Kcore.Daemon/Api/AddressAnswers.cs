using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Ipam.Ledger;

namespace Kcore.Daemon.Api;

/// <summary>
/// Who has which address of a network. Those of an overlay are the log's to give, so an answer about them says whether it
/// misses nothing that was committed before the question; those of other networks are their node's word.
/// </summary>
internal sealed class AddressAnswers(CatalogHub catalog, ConfirmedCatalog confirmed, LocalNode self)
{
    /// <param name="network">Its name.</param>
    /// <param name="local">Answers what this node knows, at once.</param>
    /// <param name="token">The caller gave up.</param>
    /// <exception cref="RefusedException">InvalidArgument, NotFound, FailedPrecondition or Unavailable, as <see cref="AddressReports"/> says.</exception>
    public async Task<NetworkAddresses> AnswerAsync(string? network, bool local, CancellationToken token)
    {
        if (!AddressReports.IsTheLogs(network, catalog.Current.Current, self.Id))
        {
            return AddressReports.Report(network, catalog.Current.Current, self.Id);
        }

        ConfirmedView view = local ? confirmed.Unasked : await confirmed.ReadAsync(ConfirmedCatalog.Patience, token);
        return AddressReports.Report(network, view.Snapshot, self.Id) with
        {
            Confirmed = view.Doubt is null,
            Unconfirmed = view.Doubt,
            LogIndex = view.LogIndex,
        };
    }
}
