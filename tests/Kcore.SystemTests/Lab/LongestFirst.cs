using Xunit.Abstractions;

namespace Kcore.SystemTests.Lab;

/// <summary>
/// Begins with the collections that share a LAN: their many tests run one after the other, and whichever of them came last
/// would run while the processors have nothing else to do.
/// </summary>
public sealed class LongestFirst : ITestCollectionOrderer
{
    public IEnumerable<ITestCollection> OrderTestCollections(IEnumerable<ITestCollection> testCollections) =>
        testCollections.OrderBy(c => c.CollectionDefinition is null).ThenBy(c => c.DisplayName, StringComparer.Ordinal);
}
