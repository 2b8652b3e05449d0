/*
 * Lucene 8 on the same passages and queries, as Pyserini sets it up: EnglishAnalyzer, BM25Similarity, a query's terms as
 * SHOULD clauses boosted by their number, one segment, one thread. Driven line by line on stdin, one JSON line a reply:
 *
 *   build CORPUS.tsv DIR k1 b     one passage a line (tab and newline replaced by blanks), index in DIR, one segment
 *   open DIR QUERIES.txt k1 b     one query a line
 *   lists K FILE                  writes "position:score ..." of each query, a line each
 *   time K                        searches all queries once: {"queries", "seconds"}
 *   analyze FILE.txt OUT.txt      the terms of each line, separated by blanks
 *   classes                       the tokenizer's class of each code point, as ranges: "first last class", a line each
 */
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.en.EnglishAnalyzer;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;
import org.apache.lucene.document.*;
import org.apache.lucene.index.*;
import org.apache.lucene.search.*;
import org.apache.lucene.search.similarities.BM25Similarity;
import org.apache.lucene.store.MMapDirectory;

public class LucenePeer {
  static final EnglishAnalyzer ANALYZER = new EnglishAnalyzer();
  static IndexSearcher searcher;
  static List<String> queries;

  public static void main(String[] args) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line; (line = in.readLine()) != null; ) {
      String[] words = line.split("\t");
      switch (words[0]) {
        case "build" -> build(words[1], words[2], similarity(words[3], words[4]));
        case "open" -> open(words[1], words[2], similarity(words[3], words[4]));
        case "lists" -> lists(Integer.parseInt(words[1]), words[2]);
        case "time" -> time(Integer.parseInt(words[1]));
        case "analyze" -> analyze(words[1], words[2]);
        case "classes" -> classes();
        default -> throw new IllegalArgumentException(line);
      }
    }
  }

  static BM25Similarity similarity(String k1, String b) {
    return new BM25Similarity(Float.parseFloat(k1), Float.parseFloat(b));
  }

  static void reply(String format, Object... values) {
    System.out.printf(Locale.ROOT, format + "%n", values);
    System.out.flush();
  }

  static void build(String corpus, String folder, BM25Similarity similarity) throws IOException {
    long start = System.nanoTime();
    IndexWriterConfig config = new IndexWriterConfig(ANALYZER).setSimilarity(similarity).setRAMBufferSizeMB(256);
    config.setOpenMode(IndexWriterConfig.OpenMode.CREATE);
    // Keeps the passages in order, so that a document's number is its position.
    config.setMergePolicy(new LogDocMergePolicy());
    int count = 0;
    try (IndexWriter writer = new IndexWriter(new MMapDirectory(Paths.get(folder)), config);
        BufferedReader lines = Files.newBufferedReader(Paths.get(corpus))) {
      for (String line; (line = lines.readLine()) != null; count++) {
        Document document = new Document();
        document.add(new TextField("contents", line, Field.Store.NO));
        writer.addDocument(document);
      }
      writer.forceMerge(1);
    }
    reply("{\"passages\": %d, \"seconds\": %.3f}", count, (System.nanoTime() - start) / 1e9);
  }

  static void open(String folder, String file, BM25Similarity similarity) throws IOException {
    long start = System.nanoTime();
    searcher = new IndexSearcher(DirectoryReader.open(new MMapDirectory(Paths.get(folder))));
    searcher.setSimilarity(similarity);
    searcher.setQueryCache(null);
    double seconds = (System.nanoTime() - start) / 1e9;
    queries = Files.readAllLines(Paths.get(file));
    reply("{\"segments\": %d, \"seconds\": %.3f}", searcher.getIndexReader().leaves().size(), seconds);
  }

  static List<String> terms(String text) throws IOException {
    List<String> terms = new ArrayList<>();
    try (TokenStream stream = ANALYZER.tokenStream("contents", text)) {
      CharTermAttribute term = stream.addAttribute(CharTermAttribute.class);
      stream.reset();
      while (stream.incrementToken()) terms.add(term.toString());
      stream.end();
    }
    return terms;
  }

  static TopDocs search(String text, int k) throws IOException {
    Map<String, Integer> counts = new LinkedHashMap<>();
    for (String term : terms(text)) counts.merge(term, 1, Integer::sum);
    BooleanQuery.Builder query = new BooleanQuery.Builder();
    counts.forEach((term, count) ->
        query.add(new BoostQuery(new TermQuery(new Term("contents", term)), count), BooleanClause.Occur.SHOULD));
    return searcher.search(query.build(), k);
  }

  static void lists(int k, String file) throws IOException {
    try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(Paths.get(file)))) {
      for (String query : queries) {
        StringJoiner line = new StringJoiner(" ");
        for (ScoreDoc hit : search(query, k).scoreDocs) line.add(hit.doc + ":" + hit.score);
        out.println(line);
      }
    }
    reply("{\"queries\": %d}", queries.size());
  }

  static void time(int k) throws IOException {
    long start = System.nanoTime();
    for (String query : queries) search(query, k);
    reply("{\"queries\": %d, \"seconds\": %.6f}", queries.size(), (System.nanoTime() - start) / 1e9);
  }

  static void analyze(String file, String to) throws IOException {
    try (BufferedReader lines = Files.newBufferedReader(Paths.get(file));
        PrintWriter out = new PrintWriter(Files.newBufferedWriter(Paths.get(to)))) {
      for (String line; (line = lines.readLine()) != null; ) out.println(String.join(" ", terms(line)));
    }
    reply("{}");
  }

  /** From the tokenizer's own table, which is private. */
  static void classes() throws Exception {
    java.lang.reflect.Field table = Class.forName("org.apache.lucene.analysis.standard.StandardTokenizerImpl").getDeclaredField("ZZ_CMAP");
    table.setAccessible(true);
    char[] of = (char[]) table.get(null);
    for (int first = 0, p = 1; p <= of.length; p++)
      if (p == of.length || of[p] != of[first]) {
        System.out.println(first + " " + (p - 1) + " " + (int) of[first]);
        first = p;
      }
  }
}
