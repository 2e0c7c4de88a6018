namespace Kcore.Fuzz;

/// <summary>Inputs that once failed, as hexadecimal text in Corpus/target/*.hex; every run begins with them.</summary>
internal static class Corpus
{
    public static IEnumerable<byte[]> Of(string target)
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "Corpus", target);
        return Directory.Exists(folder)
            ? Directory.EnumerateFiles(folder, "*.hex")
                .Order(StringComparer.Ordinal)
                .Select(path => Convert.FromHexString(string.Concat(File.ReadAllText(path).Where(c => !char.IsWhiteSpace(c)))))
            : [];
    }
}
